import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressIn,
  canonicalAddress,
  freePortsIn,
  parseMemory,
  portIn,
  TCP_STATES,
  tcpSockets,
  unixSockets,
} from '../../src/system/kernel-tables.ts';

const TCP_HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const UNIX_HEAD = 'Num       RefCount Protocol Flags    Type St Inode Path\n';

const hex = (value: number, digits: number): string =>
  value.toString(16).toUpperCase().padStart(digits, '0');
/** Of 4 or 16 bytes, as the kernel writes it: words of four, each from its last byte to its first. */
const kernelAddress = (bytes: readonly number[]): string =>
  Array.from({ length: bytes.length / 4 }, (_none, word) =>
    bytes
      .slice(word * 4, word * 4 + 4)
      .toReversed()
      .map((byte) => hex(byte, 2))
      .join(''),
  ).join('');
const byte = fc.nat(255);
const v4 = fc.array(byte, { minLength: 4, maxLength: 4 });
const v6 = fc.array(fc.oneof(fc.constant(0), byte), { minLength: 16, maxLength: 16 });
const groupsOf = (bytes: readonly number[]): string[] =>
  Array.from({ length: 8 }, (_none, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  );
const port = fc.nat(65_535);

test('an address of the kernel equals the one in program notation', () => {
  fc.assert(
    fc.property(v4, port, (bytes, at) => {
      const end = `${kernelAddress(bytes)}:${hex(at, 4)}`;
      assert.equal(addressIn(end), canonicalAddress(bytes.join('.')));
      assert.equal(addressIn(end), canonicalAddress(`::ffff:${bytes.join('.')}`));
      assert.equal(portIn(end), at);
      const mapped = [...Array.from({ length: 10 }, () => 0), 255, 255, ...bytes];
      assert.equal(addressIn(`${kernelAddress(mapped)}:0000`), addressIn(end));
    }),
  );
  fc.assert(
    fc.property(v6, (bytes) => {
      const groups = groupsOf(bytes);
      const own = addressIn(`${kernelAddress(bytes)}:01BB`);
      assert.equal(canonicalAddress(groups.join(':')), own);
      assert.equal(canonicalAddress(`${groups.join(':')}%eth0`), own);
      // As Node writes it: the longest run of zeros is left out.
      const short = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
      assert.equal(canonicalAddress(short), own, short);
      const last = `${groups.slice(0, 6).join(':')}:${bytes.slice(12).join('.')}`;
      assert.equal(canonicalAddress(last), own, last);
    }),
  );
});

test('a row of TCP has its ends, its state, its unacknowledged bytes and its inode', () => {
  const table = `${TCP_HEAD}   0: 0100007F:1F90 0100007F:9C40 01 00000012:00000003 01:00000014 00000002     0        0 4711 1\n`;
  assert.deepEqual(tcpSockets(table), [
    {
      local: '0100007F:1F90',
      remote: '0100007F:9C40',
      state: TCP_STATES.established,
      unsent: 0x12,
      retransmits: 2,
      inode: '4711',
    },
  ]);
});

test('a port of a range is free if neither table has a listener on it', () => {
  const from = 50_000;
  const row = fc.record({
    at: fc.integer({ min: from - 8, max: from + 8 }),
    listens: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(row), fc.array(row), (rows4, rows6) => {
      const tables = [rows4, rows6].map((rows) => {
        const lines = rows.map(
          ({ at, listens }, nth) =>
            `${String(nth).padStart(4)}: 00000000:${hex(at, 4)} 00000000:0000 ${listens ? '0A' : '01'} 0:0 0:0 0 0 0 1\n`,
        );
        return TCP_HEAD + lines.join('');
      });
      const taken = [...rows4, ...rows6].flatMap(({ at, listens }) => (listens ? [at] : []));
      const free = [0, 1, 2, 3].filter((each) => !taken.includes(from + each)).length;
      assert.equal(freePortsIn(tables, { from, to: from + 3 }), free);
    }),
  );
});

test('a row of unix sockets has its bound address, whatever that contains', () => {
  const name = fc.stringMatching(/^[/a. @:0]{1,12}$/);
  const socket = fc.record({
    isListening: fc.boolean(),
    inode: fc.nat(10 ** 7).map(String),
    boundTo: fc.option(name, { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(socket), (sockets) => {
      const rows = sockets.map(
        ({ isListening, inode, boundTo }) =>
          `0000000000000000: 00000002 00000000 000${isListening ? 1 : 0}0000 0001 01 ${inode.padStart(5)}${boundTo === undefined ? '' : ` ${boundTo}`}\n`,
      );
      const expected = sockets.map(({ boundTo, ...rest }) => ({
        ...rest,
        ...(boundTo === undefined ? {} : { boundTo }),
      }));
      assert.deepEqual(unixSockets(UNIX_HEAD + rows.join('')), expected);
    }),
  );
});

test("available memory is the kernel's figure, in bytes", () => {
  const text = 'MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\n';
  assert.deepEqual(parseMemory(text), { totalBytes: 1_024_000, availableBytes: 614_400 });
  assert.equal(parseMemory('MemFree: 100 kB\n').availableBytes, 102_400);
});

test('the tables of this host are read', () => {
  const read = (file: string): string => readFileSync(`/proc/${file}`, 'utf8');
  const rows = (text: string): number => text.split('\n').length - 2;
  const [tcp, unix] = [read('net/tcp'), read('net/unix')];
  assert.equal(tcpSockets(tcp).length, rows(tcp));
  assert.equal(unixSockets(unix).length, rows(unix));
  const { totalBytes, availableBytes } = parseMemory(read('meminfo'));
  assert.ok(totalBytes >= availableBytes && availableBytes > 0);
});

test('no text makes a table fail, and no table has the rows of another', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0aF: \n/@1.%]{0,64}$/));
  fc.assert(
    fc.property(text, (any) => {
      for (const { local, unsent, retransmits } of tcpSockets(any)) {
        assert.ok(Number.isFinite(unsent) && Number.isFinite(retransmits));
        assert.match(addressIn(local), /^[^:]*$/);
        assert.ok(Number.isFinite(portIn(local)));
      }
      assert.ok(Array.isArray(unixSockets(any)));
      assert.equal(typeof canonicalAddress(any), 'string');
      assert.ok(parseMemory(any).totalBytes >= 0);
    }),
  );
  const unix = `${UNIX_HEAD}0000000000000000: 00000002 00000000 00010000 0001 01 12345 /a b\n`;
  const tcp = `${TCP_HEAD}1000: 0100007F:1F90 0100007F:9C40 01 00000012:00000000 01:00000014 00000000 0 0 4711 1\n`;
  assert.deepEqual(tcpSockets(unix), []);
  assert.deepEqual(unixSockets(tcp), []);
});
