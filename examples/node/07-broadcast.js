// One message to ten workers: all of them are members of the same channel, and
// none of them is addressed. The main thread does not hear itself.
//
//   node examples/node/07-broadcast.js
'use strict';

const { once } = require('node:events');
const { BroadcastChannel, Worker, isMainThread, parentPort, workerData } =
  require('node:worker_threads');

async function main() {
  const news = new BroadcastChannel('news');
  let own = 0;
  news.onmessage = () => { own += 1; };

  const workers = [];
  for (let number = 0; number < 10; number += 1) {
    workers.push(new Worker(__filename, { workerData: number }));
  }
  // A member hears what is said after it joined.
  await Promise.all(workers.map((worker) => once(worker, 'message')));

  const answers = workers.map((worker) => once(worker, 'message'));
  news.postMessage('land in sight');
  for (const [answer] of await Promise.all(answers)) console.log(answer);
  console.log(`the main thread heard itself ${own} times`);
  news.close();
}

if (isMainThread) {
  main();
} else {
  const news = new BroadcastChannel('news');
  news.onmessage = ({ data }) => {
    parentPort.postMessage(`worker ${workerData} heard: ${data}`);
    news.close();
  };
  parentPort.postMessage('ready');
}
