// Environment data: what is set is seen by the workers started later, and by
// those that they start. Each has its own copy: what one sets stays below it.
//
//   node examples/node/14-environment-data.js
'use strict';

const { once } = require('node:events');
const { Worker, getEnvironmentData, isMainThread, parentPort, setEnvironmentData, workerData } =
  require('node:worker_threads');

// What this thread sees, in words.
function seen() {
  return `flag ${getEnvironmentData('flag')}, crew ${getEnvironmentData('crew') ?? 'not set'}`;
}

async function main() {
  setEnvironmentData('flag', 'blue');
  const outer = new Worker(__filename, { workerData: 'outer' });
  // Too late for the one that is started, early enough for the next.
  setEnvironmentData('flag', 'red');
  const later = new Worker(__filename, { workerData: 'later' });

  for (const worker of [outer, later]) {
    worker.on('message', (text) => console.log(text));
    worker.postMessage('look');
    await once(worker, 'exit');
  }
  console.log(`main: ${seen()}`);
}

if (isMainThread) {
  main();
} else {
  parentPort.once('message', () => {
    parentPort.postMessage(`${workerData}: ${seen()}`);
    if (workerData === 'outer') {
      setEnvironmentData('crew', 12);
      const inner = new Worker(__filename, { workerData: 'inner' });
      inner.on('message', (text) => parentPort.postMessage(text));
      inner.postMessage('look');
    }
  });
}
