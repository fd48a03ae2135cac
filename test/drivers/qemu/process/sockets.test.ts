import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { socketChecks } from '../../../../src/drivers/qemu/process/sockets.ts';
import { guestShape, type GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { emptySpec } from '../spec/samples.ts';

const BASE = guestShape.parse(emptySpec());

test('a guest is refused by name if and only if one of its sockets has no room', () => {
  const name = fc.integer({ min: 1, max: 80 }).map((length) => 's'.repeat(length));
  const kind = fc.constantFrom('chardevs', 'ports', 'monitors', 'file');
  fc.assert(
    fc.property(name, kind, fc.integer({ min: 1, max: 90 }), (socket, where, depth) => {
      const guestDir = `/${'d'.repeat(depth)}`;
      const backend = { kind: 'socket', name: socket, mux: false } as const;
      const spec: GuestSpec = {
        ...BASE,
        ...(where === 'chardevs' ? { chardevs: [{ id: 'c', backend }] } : {}),
        ...(where === 'ports' ? { ports: [{ option: 'serial', backend }] } : {}),
        ...(where === 'monitors' ? { monitors: [{ kind: 'hmp', name: socket }] } : {}),
        // A file of that name is no socket.
        ...(where === 'file'
          ? { chardevs: [{ id: 'c', backend: { kind: 'file', name: socket } }] }
          : {}),
      };
      const isLong = where !== 'file' && `${guestDir}/${socket}`.length > 107;
      const codes = socketChecks(spec, guestDir).map(({ error }) => error?.code);
      assert.deepEqual(codes, isLong ? ['GODWIT_PATH_LONG'] : []);
    }),
  );
});
