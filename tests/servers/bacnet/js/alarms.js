// A BMS that is told of alarms, made of @bacnet-js/client: prints {"port": N}, then each event notification as a line of
// JSON (and acknowledges the receipt of a confirmed one). The server's address is the only argument. Each line on stdin
// is a command, whose result is printed as {"result": ...} or {"error": text}:
//   acknowledge NAME: acknowledges the newest notification; summary: GetAlarmSummary; end
'use strict';

const dgram = require('node:dgram');
const readline = require('node:readline');
const { default: BACnetClient } = require('@bacnet-js/client');

const receiver = { address: process.argv[2] };
const DATETIME = 2;

function freePort() {
  return new Promise((resolve) => {
    const probe = dgram.createSocket('udp4');
    probe.bind(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function main() {
  const port = await freePort();
  const client = new BACnetClient({ port, interface: '127.0.0.1', apduTimeout: 3000 });
  const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  let newest = null;
  client.on('eventNotify', (message) => {
    newest = message.payload;
    if (message.service !== undefined && message.header.expectingReply) {
      client.simpleAckResponse({ address: message.header.sender.address }, message.service, message.invokeId);
    }
    say({ event: newest, confirmed: message.header.expectingReply });
  });
  client.on('listening', () => say({ port }));
  const commands = {
    acknowledge: (name) =>
      client.acknowledgeAlarm(receiver, newest.eventObjectId, newest.toState, name, newest.timeStamp, {
        type: DATETIME,
        value: new Date(),
      }),
    summary: () => client.getAlarmSummary(receiver),
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...rest] = line.split(' ');
    if (name === 'end') break;
    try {
      const result = await commands[name](rest.join(' '));
      say({ result: result === undefined ? null : result });
    } catch (error) {
      say({ error: error.message });
    }
  }
  client.close();
  process.exit(0); // its timers would keep it
}

main();
