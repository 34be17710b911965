// Runs calls of @bacnet-js/client that stand on stdin as JSON: [["readProperty", ...arguments], ...].
// The server's address is the only argument; the result of each call, or {error: text}, goes to stdout as JSON.
// "iAm" waits for an I-Am after a unicast Who-Is with the given options.
'use strict';

const dgram = require('node:dgram');
const { default: BACnetClient } = require('@bacnet-js/client');

const receiver = { address: process.argv[2] };

function freePort() {
  return new Promise((resolve) => {
    const probe = dgram.createSocket('udp4');
    probe.bind(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function iAm(client, options) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), 500);
    client.once('iAm', (message) => {
      clearTimeout(timer);
      resolve(message.payload);
    });
    client.whoIs(receiver, options);
  });
}

// JSON has no NaN; the tests see it as the text "NaN".
const plain = (_key, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value);

async function main() {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  const client = new BACnetClient({ port: await freePort(), interface: '127.0.0.1', apduTimeout: 3000 });
  const results = [];
  for (const [name, ...args] of JSON.parse(input)) {
    try {
      const result = name === 'iAm' ? await iAm(client, ...args) : await client[name](receiver, ...args);
      results.push(result === undefined ? null : result);
    } catch (error) {
      results.push({ error: error.message });
    }
  }
  client.close();
  process.stdout.write(JSON.stringify(results, plain));
}

main();
