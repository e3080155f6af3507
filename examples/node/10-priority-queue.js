// A priority queue before a worker: while it is busy, tasks collect on the main
// thread, and the most urgent one is next. Equally urgent ones keep their order.
//
//   node examples/node/10-priority-queue.js
'use strict';

const { Worker, isMainThread, parentPort } = require('node:worker_threads');

class PriorityWorker {
  constructor(onDone) {
    this.tasks = [];
    this.busy = false;
    this.worker = new Worker(__filename);
    this.worker.on('message', (name) => {
      this.busy = false;
      onDone(name);
      this.handOut();
    });
  }

  add(name, priority) {
    this.tasks.push({ name, priority });
    this.tasks.sort((a, b) => b.priority - a.priority); // stable
    this.handOut();
  }

  handOut() {
    if (this.busy || this.tasks.length === 0) return;
    this.busy = true;
    this.worker.postMessage(this.tasks.shift().name);
  }
}

if (isMainThread) {
  let done = 0;
  const queue = new PriorityWorker((name) => {
    done += 1;
    console.log(`${done}. ${name}`);
    if (done === 6) queue.worker.postMessage(null);
  });
  queue.add('coil the ropes', 1); // the worker is free, so this one starts
  queue.add('paint the rail', 0);
  queue.add('reef the sails', 5);
  queue.add('man the pumps', 9);
  queue.add('cook dinner', 3);
  queue.add('trim the sails', 5);
} else {
  parentPort.on('message', (name) => {
    if (name === null) parentPort.close();
    else parentPort.postMessage(name);
  });
}
