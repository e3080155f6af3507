// node cluster.mjs in_turn BUSY_US WORKERS
//                  shared BUSY_US WORKERS
//
// Each round gives the port, on which it then serves until the next one: the client is
// not here.

import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { now, serve } from './rounds.mjs';

const [task, ...rest] = process.argv.slice(2);
const [busy, workers] = rest.map(Number);

const SIZE = 64;

function answer(socket, request) {
  const end = now() + busy * 1000;
  while (now() < end);
  socket.write(request);
}

function listen() {
  const server = createServer({ noDelay: true }, (socket) => {
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
      for (; rest.length >= SIZE; rest = rest.subarray(SIZE)) {
        answer(socket, rest.subarray(0, SIZE));
      }
    });
    // The client goes when it has had enough.
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
}

if (cluster.isPrimary) {
  cluster.schedulingPolicy = task === 'shared' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  let port;
  for (let n = 0; n < workers; n++) {
    const [address] = await once(cluster.fork(), 'listening');
    port = address.port;
  }
  await serve(() => [port]);
} else {
  listen();
}
