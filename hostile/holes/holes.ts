import type { Hole } from './hole.ts';

/** Known defects of the attacked host, which the run must find. */
export const HOLES: Readonly<Record<string, Hole>> = {
  roles: {
    file: 'src/rpc/caller.ts',
    from: "operator: new Set(['operator', 'admin', 'local'])",
    to: "operator: new Set(['operator', 'admin', 'agent', 'local'])",
    what: 'a host does what is an operator’s',
  },
  strangers: {
    file: 'src/mover/direct/destination/main.ts',
    from: 'if (caller.name === request.fromHost) return;',
    to: "if (caller.name !== '') return;",
    what: 'every host speaks for another host’s guest',
  },
  remains: {
    file: 'src/mover/direct/destination/lifecycle.ts',
    from: 'undo: async ({ open }, _state, signal) => (await open()).destroy(signal),',
    to: 'undo: async () => undefined,',
    what: 'the QEMU of a guest that was given up goes on',
  },
  properties: {
    file: 'src/drivers/qemu/spec/grammar/device.ts',
    from: 'return Object.entries(props).flatMap(',
    to: 'return Object.entries({} as typeof props).flatMap(',
    what: 'a device has properties that name files of the host',
  },
  epochs: {
    file: 'src/migration/direct/destination/destination.ts',
    from: 'if (callEpoch !== state.admission.epoch) {',
    to: 'if (callEpoch < 0) {',
    what: 'a call under another epoch is taken',
  },
};
