import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { cameByRelay } from '../../src/rpc/gate.ts';
import { TakenStreams } from '../../src/rpc/relayed/wait.ts';

function streamOf(caller: string): Socket {
  const socket = new EventEmitter() as Socket;
  cameByRelay(socket, caller);
  return socket;
}

test('one caller at relays leaves a server places for the streams of other callers', () => {
  const taken = new TakenStreams();
  const flood = Array.from({ length: 300 }, () => streamOf('evil'));
  assert.equal(flood.filter((each) => taken.take(each)).length, 192);
  assert.equal(taken.isFull, false);
  const others = Array.from({ length: 64 }, (_none, nth) => streamOf(`host${nth}`));
  assert.ok(others.every((each) => taken.take(each)));
  assert.ok(taken.isFull);
  others[0]?.emit('close');
  flood[0]?.emit('close');
  assert.ok(taken.take(streamOf('evil')));
  assert.equal(taken.take(streamOf('evil')), false);
});
