// What the scripts share: a line on standard input begins a round, and its
// figures are one line of JSON on standard output. The end of the input ends the
// process, with whatever threads it has.

import { createInterface } from 'node:readline';

export async function serve(round) {
  for await (const _ of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await round()));
  }
  process.exit(0);
}

export const now = () => Number(process.hrtime.bigint());

export const silence = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The p50 and p99 of times in nanoseconds, in microseconds. */
export function p50p99(times) {
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.max(Math.ceil(share * times.length), 1) - 1] / 1000;
  return [at(0.5), at(0.99)];
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function check(answer, expected) {
  if (answer !== expected) throw new Error(`${answer} instead of ${expected}`);
}

/** p50 and p99 of `count` calls of `ask`, which gives its number plus one. */
export async function roundTrips(ask, count, pause) {
  const times = [];
  for (let n = 0; n < count; n++) {
    if (pause > 0) await silence(pause);
    const begin = now();
    const answer = await ask(n);
    times.push(now() - begin);
    check(answer, n + 1);
  }
  return p50p99(times);
}
