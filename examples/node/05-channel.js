// Channels: a port is handed to a worker in a message, and what the worker says
// comes by the port. Then two workers get one end each, and talk to each other
// without the main thread.
//
//   node examples/node/05-channel.js
'use strict';

const { once } = require('node:events');
const { MessageChannel, Worker, isMainThread, parentPort, workerData } =
  require('node:worker_threads');

async function handOver() {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (text) => console.log(`by the port: ${text}`));
  const worker = new Worker(__filename, { workerData: { role: 'greeter' } });
  worker.postMessage(port2, [port2]);
  await once(port1, 'close');
  console.log('the port was closed');
}

async function talkDirectly() {
  const { port1, port2 } = new MessageChannel();
  const start = (role, port) =>
    new Worker(__filename, { workerData: { role, port }, transferList: [port] });
  const asks = start('asks', port1);
  const answers = start('answers', port2);
  const reports = await Promise.all([once(asks, 'message'), once(answers, 'message')]);
  for (const [report] of reports) console.log(report);
}

const roles = {
  greeter() {
    parentPort.once('message', (port) => {
      port.postMessage('hello');
      port.close();
    });
  },

  asks() {
    const { port } = workerData;
    let [asked, sum] = [0, 0];
    const ask = () => port.postMessage(asked += 1);
    port.on('message', (square) => {
      sum += square;
      if (asked < 3) return ask();
      parentPort.postMessage(`asked ${asked} times, the answers add up to ${sum}`);
      port.close();
    });
    ask();
  },

  answers() {
    const { port } = workerData;
    let answered = 0;
    port.on('message', (n) => {
      answered += 1;
      port.postMessage(n * n);
    });
    port.on('close', () => parentPort.postMessage(`answered ${answered} times`));
  },
};

if (isMainThread) {
  handOver().then(talkDirectly);
} else {
  roles[workerData.role]();
}
