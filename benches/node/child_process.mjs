// node child_process.mjs echo COUNT THREADS
//                        flood FLOODS JOBS THREADS
//                        argument COUNT BYTES THREADS
//                        start COUNT THREADS

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { check, median, now, p50p99, serve } from './rounds.mjs';

const [task, ...rest] = process.argv.slice(2);
const [count, size] = rest.map(Number);

const newChild = () =>
  fork(new URL('./answering.mjs', import.meta.url), { serialization: 'advanced' });

const message = (n) => Buffer.alloc(64, n & 0xff);

const checkEcho = (answer, n) => check(Buffer.compare(answer, message(n)), 0);

function ask(child, message) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    child.send(message);
  });
}

async function echo(child) {
  const times = [];
  const warmUp = Math.floor(count / 10);
  for (let n = 0; n < warmUp + count; n++) {
    const sent = message(n);
    const begin = now();
    const answer = await ask(child, sent);
    const time = now() - begin;
    checkEcho(answer, n);
    if (n >= warmUp) times.push(time);
  }
  return p50p99(times);
}

function flood(child) {
  return new Promise((resolve) => {
    let answers = 0;
    child.on('message', (answer) => {
      checkEcho(answer, answers++);
      if (answers === size) {
        child.removeAllListeners('message');
        resolve();
      }
    });
    for (let n = 0; n < size; n++) child.send(message(n));
  });
}

async function floods(child) {
  const times = [];
  for (let n = 0; n < count; n++) {
    const begin = now();
    await flood(child);
    times.push((now() - begin) / 1000 / size);
  }
  return [median(times)];
}

async function argument(child) {
  const bytes = Buffer.alloc(size, 7);
  const times = [];
  for (let n = 0; n < count; n++) {
    const begin = now();
    const length = await ask(child, bytes);
    times.push((now() - begin) / 1e6);
    check(length, size);
  }
  return [median(times)];
}

async function start() {
  const times = [];
  for (let n = 0; n < count; n++) {
    const begin = now();
    const child = newChild();
    const answer = await ask(child, message(n));
    times.push((now() - begin) / 1e6);
    checkEcho(answer, n);
    child.disconnect();
    await once(child, 'exit');
  }
  return [median(times)];
}

if (task === 'start') {
  await serve(start);
} else {
  const child = newChild();
  checkEcho(await ask(child, message(1)), 1);
  const one = { echo, flood: floods, argument }[task];
  await serve(() => one(child));
}
