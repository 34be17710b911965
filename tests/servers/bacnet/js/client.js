// Runs calls of @bacnet-js/client that stand on stdin as JSON: [["readProperty", ...arguments], ...].
// The server's address is the only argument; the result of each call, or {error: text}, goes to stdout as JSON.
// "iAm" waits for an I-Am after a unicast Who-Is with the given options (and for how many ms: null when none came),
// "iAms" for so many, and gives their senders.
// "changes" subscribes to an object, writes it, and gives the values it was told of and who told them.
// A call that begins with {net, adr} goes to a device behind the server as its router.
'use strict';

const dgram = require('node:dgram');
const { default: BACnetClient } = require('@bacnet-js/client');
const npdu = require('@bacnet-js/client/dist/lib/npdu');

// subscribeCov and simpleAckResponse of 3.3.2 leave the hop count out, so that it is 0 and every router must drop them.
const { encode } = npdu;
npdu.encode = (buffer, control, to, from, hops, ...more) => encode(buffer, control, to, from, hops || 255, ...more);

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

function iAm(client, options, waitMs = 5000) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), waitMs);
    client.once('iAm', (message) => {
      clearTimeout(timer);
      resolve(message.payload);
    });
    client.whoIs(receiver, options);
  });
}

const sent = ({ header }) => ({ net: header.sender.net, adr: header.sender.adr });

function iAms(client, to, options, count) {
  return new Promise((resolve) => {
    const found = [];
    const done = () => {
      clearTimeout(timer);
      client.off('iAm', take);
      resolve(found);
    };
    const take = (message) => {
      found.push({ device: message.payload.deviceId, ...sent(message) });
      if (found.length === count) done();
    };
    const timer = setTimeout(done, 5000);
    client.on('iAm', take);
    client.whoIs(to, options);
  });
}

function changes(client, to, object, confirmed, values) {
  return new Promise((resolve, reject) => {
    const told = [];
    const take = (message) => {
      const { values: all, initiatingDeviceId } = message.payload;
      told.push({ device: initiatingDeviceId.instance, value: all[0].value[0].value, ...sent(message) });
      if (confirmed) client.simpleAckResponse({ ...to, ...sent(message) }, 1, message.invokeId);
      if (told.length > values.length) resolve(told);
      else client.writeProperty(to, object, 85, [{ type: 4, value: values[told.length - 1] }], { priority: 8 }).catch(reject);
    };
    client.on(confirmed ? 'covNotify' : 'covNotifyUnconfirmed', take);
    setTimeout(() => resolve(told), 5000).unref();
    client.subscribeCov(to, object, 7, false, confirmed, 60).catch(reject);
  });
}

// JSON has no NaN; the tests see it as the text "NaN".
const plain = (_key, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value);

async function main() {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  const client = new BACnetClient({ port: await freePort(), interface: '127.0.0.1', apduTimeout: 3000 });
  const results = [];
  const own = { iAms, changes };
  for (const call of JSON.parse(input)) {
    const to = typeof call[0] === 'object' ? { ...receiver, ...call.shift() } : receiver;
    const [name, ...args] = call;
    try {
      let result;
      if (name === 'iAm') result = await iAm(client, ...args);
      else result = await (own[name] ? own[name](client, to, ...args) : client[name](to, ...args));
      results.push(result === undefined ? null : result);
    } catch (error) {
      results.push({ error: error.message });
    }
  }
  client.close();
  process.stdout.write(JSON.stringify(results, plain));
}

main();
