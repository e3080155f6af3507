// Processes behind one port: a primary, and two workers that serve in turn. One is
// killed, and another one takes its place; in the end all are told to go.
//
//   node examples/node/16-cluster-server.js
'use strict';

const cluster = require('node:cluster');
const http = require('node:http');

function primary() {
  const watches = new Map();
  const greetings = [];
  const exits = [];
  const listening = new Set();

  function fork(watch) {
    watches.set(cluster.fork({ WATCH: watch }).id, watch);
  }

  cluster.on('message', (worker, watch) => {
    greetings.push(`worker ${worker.id} has the ${watch} watch`);
    worker.send(`steer to ${watch}`);
  });
  cluster.on('listening', async (worker, { port }) => {
    listening.add(worker.id);
    if (listening.size < 2) return;
    print(greetings.splice(0));
    print(await ask(port, 6));
    if (cluster.workers[1]) {
      cluster.workers[1].process.kill('SIGKILL');
    } else {
      cluster.disconnect();
    }
  });
  cluster.on('exit', (worker, code, signal) => {
    listening.delete(worker.id);
    exits.push(`worker ${worker.id} exited with code ${code} and signal ${signal}`);
    if (!worker.exitedAfterDisconnect) {
      print(exits.splice(0));
      fork(watches.get(worker.id)); // nobody else starts it again
    }
  });
  process.on('exit', () => print(exits));

  cluster.schedulingPolicy = cluster.SCHED_RR;
  fork('port');
  fork('starboard');
}

// The events of two workers come in any order.
function print(lines) {
  for (const line of lines.sort()) console.log(line);
}

// Asks so many times, each on a connection of its own; how often each answer came.
async function ask(port, times) {
  const counts = new Map();
  for (let time = 0; time < times; time += 1) {
    const answer = await get(port);
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
  }
  return Array.from(counts, ([answer, count]) => `${answer}: ${count} times`);
}

function get(port) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

function worker() {
  process.send(process.env.WATCH);
  process.once('message', (orders) => {
    const server = http.createServer((request, response) => {
      response.end(`worker ${cluster.worker.id} is to ${orders}`);
    });
    server.listen(0, '127.0.0.1'); // the same port for all
  });
}

if (cluster.isPrimary) {
  primary();
} else {
  worker();
}
