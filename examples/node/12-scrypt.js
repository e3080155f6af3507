// Passwords hashed with scrypt: by two workers, and then on the main thread,
// which stands still meanwhile. The digests are the same; how long it took and
// how late the loop was is told on stderr.
//
//   node examples/node/12-scrypt.js
'use strict';

const { scryptSync } = require('node:crypto');
const { once } = require('node:events');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { setTimeout } = require('node:timers/promises');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const COST = { N: 1024, r: 8, p: 1 };
const PASSWORDS = ['anchor', 'bollard', 'capstan', 'davit', 'eyebolt', 'fairlead'];

function hash(password) {
  return scryptSync(password, `salt of ${password}`, 16, COST).toString('hex');
}

async function pooled() {
  const workers = [new Worker(__filename), new Worker(__filename)];
  const passwords = PASSWORDS.entries();
  const digests = [];
  // Each worker takes the next one when it is done with the last.
  await Promise.all(workers.map(async (worker) => {
    for (const [index, password] of passwords) {
      worker.postMessage(password);
      [digests[index]] = await once(worker, 'message');
    }
    await worker.terminate();
  }));
  return digests;
}

async function unpooled() {
  return PASSWORDS.map(hash);
}

async function measure(name, hashAll) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await setTimeout(5); // let it find its pace
  const begin = performance.now();
  const digests = await hashAll();
  const took = performance.now() - begin;
  await setTimeout(5);
  delay.disable();

  PASSWORDS.forEach((password, i) => console.log(`${name} ${password}: ${digests[i]}`));
  const late = (delay.max / 1e6).toFixed(1);
  console.error(`${name}: ${took.toFixed(1)} ms, the loop was late by ${late} ms at most`);
}

if (isMainThread) {
  measure('pooled', pooled).then(() => measure('unpooled', unpooled));
} else {
  parentPort.on('message', (password) => parentPort.postMessage(hash(password)));
}
