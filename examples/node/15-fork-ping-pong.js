// A process that answers: the parent sends a text, the child sends one back. It
// ends when it is disconnected; another one has to be killed.
//
//   node examples/node/15-fork-ping-pong.js
'use strict';

const { fork } = require('node:child_process');

function pingPong() {
  const child = fork(__filename, ['child']);
  let round = 1;
  child.on('message', (answer) => {
    console.log(`ping ${round} is answered by ${answer}`);
    round += 1;
    if (round <= 3) {
      child.send(`ping ${round}`);
    } else {
      child.disconnect();
      console.log(`connected: ${child.connected}`);
    }
  });
  child.on('exit', (code, signal) => {
    console.log(`the child exited with code ${code} and signal ${signal}`);
    runaway();
  });
  child.send(`ping ${round}`);
}

// Nothing but a signal ends a loop that looks at nothing.
function runaway() {
  const child = fork(__filename, ['child']);
  child.on('message', (answer) => {
    console.log(`the next one says ${answer}, and loops`);
    child.kill('SIGKILL');
  });
  child.on('exit', (code, signal) => {
    console.log(`the child exited with code ${code} and signal ${signal}`);
  });
  child.send('loop');
}

if (process.argv[2] === 'child') {
  process.on('message', (text) => {
    if (text === 'loop') {
      process.send('goodbye', () => {
        for (;;);
      });
    } else {
      process.send(text.replace('ping', 'pong'));
    }
  });
} else {
  pingPong();
}
