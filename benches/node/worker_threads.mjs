// node worker_threads.mjs round_trip COUNT PAUSE_MS THREADS
//                         flood COUNT 0 THREADS
//                         start COUNT THREADS
//                         memory COUNT THREADS

import { Worker } from 'node:worker_threads';
import { check, now, roundTrips, serve } from './rounds.mjs';

const [task, ...rest] = process.argv.slice(2);
const [count, pause] = rest.map(Number);

const newWorker = () => new Worker(new URL('./echo.mjs', import.meta.url));

function ask(worker, n) {
  return new Promise((resolve) => {
    worker.once('message', resolve);
    worker.postMessage(n);
  });
}

async function flood(worker) {
  const answer = new Promise((resolve) => worker.once('message', resolve));
  const begin = now();
  worker.postMessage('flood');
  for (let n = 1; n <= count; n++) worker.postMessage(n);
  worker.postMessage(0);
  check(await answer, (count * (count + 1)) / 2);
  return [(now() - begin) / count];
}

async function start() {
  const times = [];
  for (let n = 0; n < count; n++) {
    const begin = now();
    const worker = newWorker();
    check(await ask(worker, n), n + 1);
    times.push((now() - begin) / 1000);
    await worker.terminate();
  }
  times.sort((a, b) => a - b);
  return [times[Math.floor(count / 2)]];
}

async function memory() {
  const before = process.memoryUsage().rss;
  const workers = Array.from({ length: count }, newWorker);
  for (const worker of workers) check(await ask(worker, 41), 42);
  const after = process.memoryUsage().rss;
  for (const worker of workers) await worker.terminate();
  return [Math.max(after - before, 0) / count];
}

if (task === 'start') {
  await serve(start);
} else if (task === 'memory') {
  await serve(memory);
} else {
  const worker = newWorker();
  check(await ask(worker, 1), 2);
  const one = (n) => ask(worker, n);
  await serve(task === 'flood' ? () => flood(worker) : () => roundTrips(one, count, pause));
}
