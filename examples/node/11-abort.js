// Ending what would never end, while the loop's delay is watched. An abort
// signal becomes a flag that the job looks at; terminate() needs no flag.
//
//   node examples/node/11-abort.js
'use strict';

const { once } = require('node:events');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

// Ends only if it is told to.
function work(flag) {
  let steps = 0;
  while (Atomics.load(flag, 0) === 0) steps += 1;
  return 'aborted';
}

function start(signal) {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  signal?.addEventListener('abort', () => Atomics.store(flag, 0, 1));
  return new Worker(__filename, { workerData: flag });
}

// Resolves after five beats of the loop, which a busy loop would never have.
function fiveTicks() {
  return new Promise((resolve) => {
    let ticks = 0;
    const ticker = setInterval(() => {
      ticks += 1;
      if (ticks < 5) return;
      clearInterval(ticker);
      resolve(ticks);
    }, 5);
  });
}

async function main() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();

  const controller = new AbortController();
  const job = start(controller.signal);
  const answer = once(job, 'message');
  await once(job, 'online');
  console.log(`the loop ticked ${await fiveTicks()} times beside the job`);
  controller.abort();
  console.log(`the job ended: ${(await answer)[0]}`);

  const worker = start();
  await once(worker, 'online');
  console.log(`the loop ticked ${await fiveTicks()} times beside the worker`);
  console.log(`the worker was terminated: code ${await worker.terminate()}`);

  delay.disable();
  console.error(`the loop was late by ${(delay.max / 1e6).toFixed(1)} ms at most`);
}

if (isMainThread) {
  main();
} else {
  parentPort.postMessage(work(workerData));
}
