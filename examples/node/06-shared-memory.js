// Memory that four workers share: a counter that all add to atomically, and one
// that is only read and written, behind a mutex made of wait and notify.
//
//   node examples/node/06-shared-memory.js
'use strict';

const { once } = require('node:events');
const { Worker, isMainThread, workerData } = require('node:worker_threads');

const WORKERS = 4;
const ROUNDS = 1000;

// What is where in the shared memory.
const [START, ATOMIC, GUARDED, MUTEX] = [0, 1, 2, 3];

// The mutex: free, held, or held with somebody waiting.
const [FREE, HELD, AWAITED] = [0, 1, 2];

function lock(cells) {
  if (Atomics.compareExchange(cells, MUTEX, FREE, HELD) === FREE) return;
  while (Atomics.exchange(cells, MUTEX, AWAITED) !== FREE) {
    Atomics.wait(cells, MUTEX, AWAITED);
  }
}

function unlock(cells) {
  if (Atomics.exchange(cells, MUTEX, FREE) === AWAITED) {
    Atomics.notify(cells, MUTEX, 1);
  }
}

function count(cells) {
  // All begin together.
  Atomics.wait(cells, START, 0);
  for (let round = 0; round < ROUNDS; round += 1) {
    Atomics.add(cells, ATOMIC, 1);

    lock(cells);
    const seen = Atomics.load(cells, GUARDED);
    Atomics.store(cells, GUARDED, seen + 1);
    unlock(cells);
  }
}

async function main() {
  const cells = new Int32Array(new SharedArrayBuffer(4 * Int32Array.BYTES_PER_ELEMENT));
  const exits = [];
  for (let i = 0; i < WORKERS; i += 1) {
    exits.push(once(new Worker(__filename, { workerData: cells }), 'exit'));
  }
  Atomics.store(cells, START, 1);
  Atomics.notify(cells, START);
  await Promise.all(exits);

  console.log(`added atomically: ${Atomics.load(cells, ATOMIC)}`);
  console.log(`behind the mutex: ${Atomics.load(cells, GUARDED)}`);
  console.log(`the mutex is free: ${Atomics.load(cells, MUTEX) === FREE}`);
}

if (isMainThread) {
  main();
} else {
  count(workerData);
}
