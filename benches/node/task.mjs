// What Piscina's threads run.

export default (n) => n + 1;
