// Reads and writes through modbus-serial or jsmodbus: `node client.js LIBRARY PORT`, calls on stdin as JSON:
// [["readHoldingRegisters", address, quantity], ...]. All calls are made at once on one connection; the values (or
// {error: exception code or text}) go to stdout as JSON, in the order of the calls.
'use strict';

const net = require('node:net');

// Every name below is the same in both libraries' words after this table.
const SERIAL = {
  readCoils: 'readCoils',
  readDiscreteInputs: 'readDiscreteInputs',
  readHoldingRegisters: 'readHoldingRegisters',
  readInputRegisters: 'readInputRegisters',
  writeSingleCoil: 'writeCoil',
  writeSingleRegister: 'writeRegister',
  writeMultipleCoils: 'writeCoils',
  writeMultipleRegisters: 'writeRegisters',
};

async function withModbusSerial(port, calls) {
  const ModbusRTU = require('modbus-serial');
  const client = new ModbusRTU();
  await client.connectTCP('127.0.0.1', { port });
  client.setID(1);
  client.setTimeout(4000);
  const results = await Promise.all(
    calls.map(([name, ...args]) =>
      client[SERIAL[name]](...args).then(
        (answer) => answer.data ?? true,
        (fault) => ({ error: fault.modbusCode ?? String(fault.message) }),
      ),
    ),
  );
  client.close(() => {});
  return results;
}

async function withJsmodbus(port, calls) {
  const { ModbusTCPClient } = require('jsmodbus');
  const socket = new net.Socket();
  const client = new ModbusTCPClient(socket, 1, 4000);
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.connect({ host: '127.0.0.1', port });
  });
  const results = await Promise.all(
    calls.map(([name, ...args]) =>
      client[name](...args).then(
        ({ response }) => response.body.valuesAsArray?.slice(0, args[1]) ?? true,
        (fault) => ({ error: fault.response?.body?.code ?? String(fault.message) }),
      ),
    ),
  );
  socket.end();
  return results;
}

async function main() {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  const run = { 'modbus-serial': withModbusSerial, jsmodbus: withJsmodbus }[process.argv[2]];
  process.stdout.write(JSON.stringify(await run(Number(process.argv[3]), JSON.parse(input))));
  process.exit(0);
}

main();
