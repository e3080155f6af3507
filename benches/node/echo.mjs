// The worker: answers each number with the next one, and sums up what comes in a
// flood, whose end is zero.

import { parentPort } from 'node:worker_threads';

let sum = 0;
let flood = false;

parentPort.on('message', (n) => {
  if (n === 'flood') {
    flood = true;
  } else if (!flood) {
    parentPort.postMessage(n + 1);
  } else if (n === 0) {
    parentPort.postMessage(sum);
    sum = 0;
    flood = false;
  } else {
    sum += n;
  }
});
