// A progress bar: the worker says how far it is, and the loop draws. On a
// terminal the bar is drawn over, elsewhere it is a line each time.
//
//   node examples/node/08-progress.js
'use strict';

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const STEPS = 10;

function isPrime(n) {
  for (let divisor = 2; divisor * divisor <= n; divisor += 1) {
    if (n % divisor === 0) return false;
  }
  return n >= 2;
}

function draw(done) {
  const bar = '#'.repeat(done).padEnd(STEPS, '.');
  const percent = String((100 * done) / STEPS).padStart(3);
  const over = process.stdout.isTTY && done < STEPS ? '\r' : '\n';
  process.stdout.write(`[${bar}] ${percent} %${over}`);
}

if (isMainThread) {
  const worker = new Worker(__filename, { workerData: 200_000 });
  worker.on('message', ({ done, primes }) => {
    if (done) draw(done);
    else console.log(`${primes} primes`);
  });
} else {
  const step = workerData / STEPS;
  let primes = 0;
  for (let done = 1; done <= STEPS; done += 1) {
    for (let n = (done - 1) * step; n < done * step; n += 1) {
      if (isPrime(n)) primes += 1;
    }
    parentPort.postMessage({ done });
  }
  parentPort.postMessage({ primes });
}
