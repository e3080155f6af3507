// node piscina.mjs round_trip COUNT PAUSE_MS THREADS
//                  flood COUNT 0 THREADS

import { Piscina } from 'piscina';
import { check, now, roundTrips, serve } from './rounds.mjs';

const [task, ...rest] = process.argv.slice(2);
const [count, pause, threads] = rest.map(Number);

const pool = new Piscina({
  filename: new URL('./task.mjs', import.meta.url).href,
  minThreads: threads,
  maxThreads: threads,
});

async function flood() {
  const begin = now();
  const answers = await Promise.all(Array.from({ length: count }, (_, n) => pool.run(n)));
  const time = now() - begin;
  const sum = answers.reduce((sum, answer) => sum + answer, 0);
  check(sum, (count * (count + 1)) / 2);
  return [time / count];
}

check(await pool.run(1), 2);
await serve(task === 'flood' ? flood : () => roundTrips((n) => pool.run(n), count, pause));
