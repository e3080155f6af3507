// Workers that start workers: a message goes up from the innermost through
// those around it, and an error that nobody listens for ends its parent in turn,
// until it reaches somebody who does.
//
//   node examples/node/13-nested-workers.js
'use strict';

const { once } = require('node:events');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const DEEPEST = 3;

function start(task, depth) {
  return new Worker(__filename, { workerData: { task, depth } });
}

async function main() {
  const [way] = await once(start('report', 1), 'message');
  console.log(`the way up: ${way}`);

  const child = start('fail', 1);
  child.on('error', (error) => {
    console.log(`error: ${error.message === 'sprung a leak' ? 'the innermost failed' : error}`);
  });
  child.on('exit', (code) => console.log(`exit code ${code}`));
}

const tasks = {
  report(depth) {
    if (depth === DEEPEST) {
      parentPort.postMessage(`worker ${depth}`);
      return;
    }
    const child = start('report', depth + 1);
    child.on('message', (way) => parentPort.postMessage(`${way}, worker ${depth}`));
  },

  fail(depth) {
    if (depth === DEEPEST) throw new Error('sprung a leak');
    start('fail', depth + 1); // nobody listens for its error
  },
};

if (isMainThread) {
  main();
} else {
  tasks[workerData.task](workerData.depth);
}
