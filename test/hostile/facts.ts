import fc from 'fast-check';
import { MIB, type Facts } from '../../hostile/facts.ts';
import { description } from '../drivers/qemu/spec/grammar/descriptions.ts';

/** What somebody hostile knows of hosts that a test has made up. */
export function factsOf(change: Partial<Facts> = {}): Facts {
  const [spec] = fc.sample(description, { numRuns: 1, seed: 7 });
  return {
    self: 'c',
    pkiDir: '/nowhere',
    selfAddress: '127.0.0.1:0',
    target: { name: 'a', address: '127.0.0.1:1' },
    other: 'b',
    guests: ['calm1', 'moved1'],
    foreign: {
      id: 'm-foreign1',
      guest: 'theirs1',
      epoch: 11,
      moverAddress: '127.0.0.1:2',
    },
    ended: 'm-ended001',
    paths: ['/traps/secret', '/etc/shadow'],
    description: {
      driver: 'qemu',
      name: 'moved1',
      memoryBytes: 64 * MIB,
      vcpus: 1,
      hypervisorVersion: '10.0.0',
      spec,
    },
    ...change,
  };
}
