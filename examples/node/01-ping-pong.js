// A worker that answers: the parent posts a text, the worker posts one back.
// It ends when it is told to, and its exit is the last thing heard of it.
//
//   node examples/node/01-ping-pong.js
'use strict';

const { Worker, isMainThread, parentPort } = require('node:worker_threads');

if (isMainThread) {
  const worker = new Worker(__filename);
  let round = 1;
  worker.on('message', (answer) => {
    console.log(`ping ${round} is answered by ${answer}`);
    round += 1;
    // Nobody closes a worker from outside: it is asked to, or terminated.
    worker.postMessage(round <= 3 ? `ping ${round}` : null);
  });
  worker.on('exit', (code) => console.log(`the worker exited with code ${code}`));
  worker.postMessage(`ping ${round}`);
} else {
  parentPort.on('message', (text) => {
    if (text === null) {
      parentPort.close();
    } else {
      parentPort.postMessage(text.replace('ping', 'pong'));
    }
  });
}
