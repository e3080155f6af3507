// A server whose heavy requests run in workers: GET /fib?n= and /primes?n=
// take a while, and the loop answers GET /health meanwhile. The program is its
// own client.
//
//   node examples/node/04-http-server.js
'use strict';

const http = require('node:http');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

function primes(n) {
  let count = 0;
  for (let candidate = 2; candidate < n; candidate += 1) {
    let divisor = 2;
    while (divisor * divisor <= candidate && candidate % divisor !== 0) divisor += 1;
    if (divisor * divisor > candidate) count += 1;
  }
  return count;
}

function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const task = url.pathname.slice(1);
  const n = Number(url.searchParams.get('n'));
  if (task === 'health') {
    response.end('ok');
  } else if (task !== 'fib' && task !== 'primes') {
    response.writeHead(404).end('no such page');
  } else if (!(n > 0)) {
    response.writeHead(400).end('n must be a number');
  } else {
    const worker = new Worker(__filename, { workerData: { task, n } });
    worker.on('message', (answer) => response.end(String(answer)));
    worker.on('error', () => response.writeHead(500).end('that went wrong'));
  }
}

function get(port, path) {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}

// Asks for the heavy page, and for /health until that is there.
async function ask(port, path) {
  let answer = null;
  let healthy = 0;
  const heavy = get(port, path).then((text) => { answer = text; });
  while (answer === null) {
    const health = await get(port, '/health');
    if (answer === null && health === 'ok') healthy += 1;
  }
  await heavy;
  // On a crowded machine the answer may have won: once more, then.
  return healthy > 0 ? answer : ask(port, path);
}

async function client(port) {
  for (const path of ['/fib?n=36', '/primes?n=1000000']) {
    console.log(`${path}: ${await ask(port, path)}, and /health was answered meanwhile`);
  }
  for (const path of ['/fib?n=ten', '/nothing']) {
    console.log(`${path}: ${await get(port, path)}`);
  }
}

if (isMainThread) {
  const server = http.createServer(serve);
  server.listen(0, '127.0.0.1', async () => {
    await client(server.address().port);
    server.close();
  });
} else {
  const { task, n } = workerData;
  parentPort.postMessage(task === 'fib' ? fib(n) : primes(n));
}
