// Parsing off the loop: a worker parses one text and ends. A broken text ends
// it too: first comes the error, then the exit with code 1.
//
//   node examples/node/02-parse-json.js
'use strict';

const { Worker, isMainThread, parentPort } = require('node:worker_threads');

function parse(name, text) {
  return new Promise((done) => {
    const worker = new Worker(__filename);
    worker.on('message', (order) => {
      console.log(`${name}: ${order.quantity} of ${order.item}`);
    });
    worker.on('error', (error) => {
      console.log(`${name}: ${error instanceof SyntaxError ? 'not JSON' : error}`);
    });
    worker.on('exit', (code) => {
      console.log(`${name}: exit code ${code}`);
      done();
    });
    worker.postMessage(text);
  });
}

async function main() {
  await parse('good', '{ "item": "rope", "quantity": 12 }');
  await parse('broken', '{ "item": "rope", "quantity": }');
}

if (isMainThread) {
  main();
} else {
  // Without a listener the worker has nothing left to do, and exits.
  parentPort.once('message', (text) => {
    parentPort.postMessage(JSON.parse(text));
  });
}
