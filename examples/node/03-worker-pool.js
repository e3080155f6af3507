// A pool of two workers with a queue of tasks, in the shape of the one in
// Node's documentation of AsyncResource: a free worker takes the next task, and
// one that dies fails its task and is replaced.
//
//   node examples/node/03-worker-pool.js
'use strict';

const { Worker, isMainThread, parentPort } = require('node:worker_threads');

class WorkerPool {
  constructor(size) {
    this.queue = [];
    this.free = [];
    this.workers = new Map(); // each with the callback of its task
    this.replaced = 0;
    for (let i = 0; i < size; i += 1) this.addWorker();
  }

  run(task, callback) {
    this.queue.push({ task, callback });
    this.handOut();
  }

  addWorker() {
    const worker = new Worker(__filename);
    this.workers.set(worker, null);
    this.free.push(worker);
    worker.on('message', (result) => {
      const callback = this.workers.get(worker);
      this.workers.set(worker, null);
      this.free.push(worker);
      this.handOut();
      callback(null, result);
    });
    worker.on('error', (error) => {
      const callback = this.workers.get(worker);
      this.workers.delete(worker);
      this.replaced += 1;
      this.addWorker();
      this.handOut();
      callback(error, null);
    });
  }

  handOut() {
    while (this.free.length > 0 && this.queue.length > 0) {
      const worker = this.free.pop();
      const { task, callback } = this.queue.shift();
      this.workers.set(worker, callback);
      worker.postMessage(task);
    }
  }

  close() {
    for (const worker of this.workers.keys()) worker.terminate();
  }
}

function main() {
  const pool = new WorkerPool(2);
  const lines = [];
  for (let task = 1; task <= 8; task += 1) {
    pool.run(task, (error, square) => {
      lines.push(error ? `task ${task}: its worker died` : `task ${task}: ${square}`);
      if (lines.length === 8) {
        // They end in any order.
        for (const line of lines.sort()) console.log(line);
        console.log(`${pool.workers.size} workers, ${pool.replaced} replaced`);
        pool.close();
      }
    });
  }
}

if (isMainThread) {
  main();
} else {
  parentPort.on('message', (task) => {
    if (task === 5) throw new Error('cannot do five');
    parentPort.postMessage(task * task);
  });
}
