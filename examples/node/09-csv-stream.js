// A stream of CSV rows into a worker, with backpressure: the stream is paused
// while the worker has as many rows as it may have, and resumed when it has
// finished one.
//
//   node examples/node/09-csv-stream.js
'use strict';

const { Readable } = require('node:stream');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const ROWS = 1000;
const BOUND = 16;
const PORTS = ['Bergen', 'Hull', 'Lisbon'];

function* rows() {
  for (let id = 0; id < ROWS; id += 1) {
    yield `${id},${PORTS[id % PORTS.length]},${(id * 37) % 101}`;
  }
}

function main() {
  const worker = new Worker(__filename);
  const csv = Readable.from(rows());
  let [unfinished, most, pauses] = [0, 0, 0];

  csv.on('data', (row) => {
    worker.postMessage(row);
    unfinished += 1;
    most = Math.max(most, unfinished);
    if (unfinished === BOUND) {
      pauses += 1;
      csv.pause();
    }
  });
  csv.on('end', () => worker.postMessage(null));

  worker.on('message', (totals) => {
    if (totals === 'finished a row') {
      unfinished -= 1;
      csv.resume();
      return;
    }
    for (const [port, { count, sum }] of totals) {
      console.log(`${port}: ${count} rows, ${sum} tons`);
    }
    console.log(`never more than ${BOUND} rows unfinished: ${most <= BOUND}`);
    console.error(`the stream was paused ${pauses} times`);
  });
}

if (isMainThread) {
  main();
} else {
  const totals = new Map(PORTS.map((port) => [port, { count: 0, sum: 0 }]));
  parentPort.on('message', (row) => {
    if (row === null) {
      parentPort.postMessage(totals);
      parentPort.close();
      return;
    }
    const [, port, tons] = row.split(',');
    const total = totals.get(port);
    total.count += 1;
    total.sum += Number(tons);
    parentPort.postMessage('finished a row');
  });
}
