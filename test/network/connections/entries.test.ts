import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addLine,
  changes,
  concerns,
  deleteLine,
  keyOf,
  parseEntries,
} from '../../../src/network/connections/entries.ts';
import { connection, TCP_STATES, type Connection } from '../../../src/protocol/peer/connections.ts';

/** As the tool wrote them of a table that held them. */
const WRITTEN = {
  tcp: 'ipv4     2 tcp      6 3999 ESTABLISHED src=10.1.0.1 dst=10.1.0.2 sport=1000 dport=80 src=10.1.0.2 dst=10.1.0.1 sport=80 dport=1000 [ASSURED] mark=5 use=1',
  counted:
    'ipv4     2 tcp      6 99 SYN_SENT src=10.1.0.1 dst=8.8.8.8 sport=1003 dport=80 packets=1 bytes=60 [UNREPLIED] src=8.8.8.8 dst=192.0.2.7 sport=80 dport=1003 packets=0 bytes=0 mark=0 zone=5 use=1',
  udp: 'ipv4     2 udp      17 29 src=10.1.0.1 dst=10.1.0.2 sport=1001 dport=53 [UNREPLIED] src=10.1.0.2 dst=10.1.0.1 sport=53 dport=1001 mark=0 use=1',
  icmpv6:
    'ipv6     10 icmpv6   58 19 src=fd00::1 dst=fd00::2 type=128 code=0 id=7 [UNREPLIED] src=fd00::2 dst=fd00::1 type=129 code=0 id=7 mark=0 use=1',
} as const;

const LEFT_OUT = [
  'ipv4     2 gre      47 8 src=10.1.0.9 dst=10.1.0.2 srckey=0x5 dstkey=0x6 [UNREPLIED] src=10.1.0.2 dst=10.1.0.9 srckey=0x6 dstkey=0x5 mark=0 use=1',
  'ipv4     2 sctp     132 98 ESTABLISHED src=10.1.0.9 dst=10.1.0.2 sport=1 dport=2 [UNREPLIED] src=10.1.0.2 dst=10.1.0.9 sport=2 dport=1 mark=0 use=1',
  'ipv4     2 unknown  50 8 src=10.1.0.9 dst=10.1.0.2 [UNREPLIED] src=10.1.0.2 dst=10.1.0.9 mark=0 use=1',
  `${WRITTEN.udp} orig-zone=4`,
  WRITTEN.tcp.replace('ESTABLISHED', 'ODD'),
  WRITTEN.tcp.replace('sport=1000', 'sport=100000'),
  WRITTEN.tcp.replace('src=10.1.0.1', 'src=fd00::1'),
];

function one(line: string): Connection {
  const { entries, leftOut } = parseEntries(line);
  assert.equal(leftOut, 0, line);
  const [entry] = entries;
  assert.ok(entry !== undefined);
  return entry;
}

const address = fc.ipV4();
const ends = fc.record({ from: address, to: address });
const port = fc.nat(65_535);
const common = {
  original: ends,
  reply: ends,
  timeoutS: fc.integer({ min: 1, max: 864_000 }),
  seenReply: fc.boolean(),
  assured: fc.boolean(),
  mark: fc.nat(0xffff_ffff),
  zone: fc.nat(65_535),
};
const portPair = fc.record({ from: port, to: port });
const ports = { originalPorts: portPair, replyPorts: portPair };
const icmp = { type: fc.nat(255), code: fc.nat(255), id: port };
const anyConnection: fc.Arbitrary<Connection> = fc
  .oneof(
    fc.record({
      protocol: fc.constant('tcp' as const),
      ...common,
      ...ports,
      state: fc.constantFrom(...TCP_STATES),
    }),
    fc.record({ protocol: fc.constant('udp' as const), ...common, ...ports }),
    fc.record({ protocol: fc.constant('icmp' as const), ...common, ...icmp }),
  )
  .map((entry) => connection.parse(entry));

/** As the tool would write it. */
function written(entry: Connection): string {
  const { original, reply, timeoutS, seenReply, assured, mark, zone } = entry;
  const own = (index: 0 | 1): string => {
    if (!('originalPorts' in entry)) return `type=${entry.type} code=${entry.code} id=${entry.id}`;
    const { from, to } = index === 0 ? entry.originalPorts : entry.replyPorts;
    return `sport=${from} dport=${to}`;
  };
  return [
    `ipv4     2 ${entry.protocol}      6 ${timeoutS}`,
    ...('state' in entry ? [entry.state] : []),
    `src=${original.from} dst=${original.to} ${own(0)}`,
    ...(seenReply ? [] : ['[UNREPLIED]']),
    `src=${reply.from} dst=${reply.to} ${own(1)}`,
    ...(assured ? ['[ASSURED]'] : []),
    `mark=${mark}`,
    ...(zone === 0 ? [] : [`zone=${zone}`]),
    'use=1',
  ].join(' ');
}

describe('output of conntrack', () => {
  test("conntrack's output is parsed correctly", () => {
    assert.deepEqual(one(WRITTEN.tcp), {
      protocol: 'tcp',
      original: { from: '10.1.0.1', to: '10.1.0.2' },
      reply: { from: '10.1.0.2', to: '10.1.0.1' },
      originalPorts: { from: 1000, to: 80 },
      replyPorts: { from: 80, to: 1000 },
      timeoutS: 3999,
      seenReply: true,
      assured: true,
      mark: 5,
      zone: 0,
      state: 'ESTABLISHED',
    });
    assert.partialDeepStrictEqual(one(WRITTEN.counted), {
      state: 'SYN_SENT',
      seenReply: false,
      zone: 5,
      reply: { to: '192.0.2.7' },
    });
    assert.partialDeepStrictEqual(one(WRITTEN.icmpv6), { type: 128, code: 0, id: 7 });
  });

  test('any connection survives being written and read', () => {
    fc.assert(fc.property(anyConnection, (entry) => assert.deepEqual(one(written(entry)), entry)));
  });

  test('a line of another protocol, or an unreadable one, is counted and hides no other', () => {
    for (const line of LEFT_OUT) {
      const { entries, leftOut } = parseEntries(`${line}\n${WRITTEN.udp}\n`);
      assert.deepEqual([entries.length, leftOut], [1, 1], line);
    }
  });

  test('the conntrack parser accepts any text, and every result is a connection', () => {
    const words = Object.values(WRITTEN).flatMap((line) => line.split(/\s+/));
    const near = fc
      .array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 8 })), { maxLength: 30 })
      .map((some) => some.join(' '));
    const broken = fc
      .tuple(fc.constantFrom(...Object.values(WRITTEN)), fc.nat(200), fc.string({ maxLength: 3 }))
      .map(([line, at, text]) => line.slice(0, at) + text + line.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(near, broken, fc.string()), (text) => {
        const { entries, leftOut } = parseEntries(text);
        assert.ok(entries.length + leftOut <= text.split('\n').length);
        for (const entry of entries) assert.deepEqual(connection.parse(entry), entry);
      }),
    );
  });
});

describe('input of conntrack', () => {
  test("conntrack's input contains every known fact of a connection", () => {
    assert.equal(
      addLine(one(WRITTEN.tcp)),
      '-A -t 3999 -u SEEN_REPLY,ASSURED -s 10.1.0.1 -d 10.1.0.2 -r 10.1.0.2 -q 10.1.0.1 -p tcp --sport 1000 --dport 80 --reply-port-src 80 --reply-port-dst 1000 --state ESTABLISHED -m 5',
    );
    assert.equal(
      addLine(one(WRITTEN.counted)),
      '-A -t 99 -u UNSET -s 10.1.0.1 -d 8.8.8.8 -r 8.8.8.8 -q 192.0.2.7 -p tcp --sport 1003 --dport 80 --reply-port-src 80 --reply-port-dst 1003 --state SYN_SENT -w 5',
    );
    assert.equal(
      addLine(one(WRITTEN.icmpv6)),
      '-A -t 19 -u UNSET -s fd00::1 -d fd00::2 -r fd00::2 -q fd00::1 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7',
    );
    assert.equal(
      deleteLine(one(WRITTEN.counted)),
      '-D -s 10.1.0.1 -d 8.8.8.8 -p tcp --sport 1003 --dport 80 -w 5',
    );
  });

  test("conntrack's input is one line of harmless words, whatever a peer sends", () => {
    fc.assert(
      fc.property(anyConnection, (entry) => {
        for (const line of [addLine(entry), deleteLine(entry)]) {
          assert.match(line, /^-[AD]( [A-Za-z0-9.:,_-]+)+$/);
        }
      }),
    );
    const evil = { ...one(WRITTEN.udp), original: { from: '10.1.0.1 -j', to: '10.1.0.2' } };
    assert.equal(connection.safeParse(evil).success, false);
  });
});

describe('updates', () => {
  const known = (entries: readonly Connection[]): Map<string, Connection> =>
    new Map(entries.map((entry) => [keyOf(entry), entry]));

  test('an update leads from the reported connections to the present ones, and then there is no other', () => {
    const some = fc.uniqueArray(anyConnection, { selector: keyOf, maxLength: 12 });
    fc.assert(
      fc.property(some, some, (before, now) => {
        const { fresh, gone } = changes(known(before), now);
        const after = known(before);
        for (const entry of gone) after.delete(keyOf(entry));
        for (const entry of fresh) after.set(keyOf(entry), entry);
        assert.deepEqual(after.size, now.length);
        assert.deepEqual(changes(after, now), { fresh: [], gone: [] });
      }),
    );
  });

  test('an update contains changed states, but not the passing of time', () => {
    const entry = one(WRITTEN.tcp);
    const later = { ...entry, timeoutS: entry.timeoutS - 7 };
    assert.deepEqual(changes(known([entry]), [later]), { fresh: [], gone: [] });
    const closing = one(WRITTEN.tcp.replace('ESTABLISHED', 'FIN_WAIT'));
    assert.deepEqual(changes(known([entry]), [closing]).fresh, [closing]);
  });
});

test('a connection belongs to the guest if one of its ends does, even behind a translated address', () => {
  const entry = one(WRITTEN.counted);
  assert.equal(concerns(entry, new Set(['192.0.2.7'])), true);
  assert.equal(concerns(entry, new Set(['192.0.2.8'])), false);
});
