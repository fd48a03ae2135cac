import type { z } from 'zod';
import { MARK } from '../../test/drivers/qemu/spec/grammar/witness.ts';
import { disk, nodeName, pathInPool, poolId } from '../../src/protocol/disk.ts';
import {
  address,
  bytes,
  checkId,
  guestName,
  hostName,
  migrationId,
  ms,
  epoch,
} from '../../src/protocol/names.ts';
import { ipAddress, nicNetworks } from '../../src/protocol/network.ts';
import { guestDescription } from '../../src/protocol/peer/migration.ts';
import { EPOCH, MIB, type Facts } from '../facts.ts';
import type { Words } from './values.ts';

/** The migration that a case speaks about, where it is one of its own. */
export interface Own {
  readonly id: string;
  readonly guest: string;
}

/** Names that mean something to the host that is attacked: its guests, others' migrations, and what is this host's own. */
export function wordsOf(facts: Facts, own: Own): Words {
  const { self, target, other, foreign, ended, guests } = facts;
  const said: [z.ZodType, readonly unknown[]][] = [
    [migrationId, [own.id, own.id, foreign.id, ended, 'm-00000000', 'm-unknown0']],
    [checkId, ['c-0000000000000000', 'c-0000000000000001']],
    [guestName, [own.guest, own.guest, foreign.guest, ...guests, 'nobody', `x${MARK}`]],
    [hostName, [self, self, self, other, target.name, 'nohost']],
    [epoch, [EPOCH, EPOCH, EPOCH, foreign.epoch, EPOCH + 1, 1, Number.MAX_SAFE_INTEGER]],
    [address, [target.address, '127.0.0.1:22', foreign.moverAddress, '[::1]:1', 'localhost:1']],
    [bytes, [0, 1, MIB, 64 * MIB, 2 ** 40, Number.MAX_SAFE_INTEGER]],
    [ms, [0, 1000, 60_000, 1e12]],
    [ipAddress, ['127.0.0.1', '10.0.0.1', '224.0.0.1', '0.0.0.0', '::1', 'fe80::1']],
    [nodeName, ['node-0', 'file-0', 'disk0']],
    [poolId, ['0000000000000000', 'ffffffffffffffff']],
    [pathInPool, ['disk.qcow2', `x${MARK}`, 'a/b/c', ...guests.map((name) => `${name}.img`)]],
    [disk, facts.description.disks ?? []],
    [guestDescription, [{ ...facts.description, name: own.guest }]],
    [nicNetworks, [[]]],
  ];
  return new Map(said.filter(([, values]) => values.length > 0));
}
