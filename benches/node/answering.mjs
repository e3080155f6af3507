// The forked process: gives a small message back as it is, and of a longer one only how
// long it was. It ends when it is disconnected.

process.on('message', (bytes) => {
  process.send(bytes.length <= 64 ? bytes : bytes.length);
});
