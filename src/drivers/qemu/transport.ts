import type { StreamSettings } from '../../protocol/peer/migration.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import type { StreamAbilities, StreamObstacle } from './stream.ts';

/** Why this QEMU cannot send, or take, memory by that transport. Pure. */
export function transportObstacles(
  { transport, streams, compress, mode }: Omit<StreamSettings, 'tls'>,
  has: StreamAbilities,
  isSource: boolean,
): StreamObstacle[] {
  if (transport === undefined) return [];
  const what = `--transport ${transport}`;
  const lacks = (reason: string, hint: string): StreamObstacle => ({ what, reason, hint });
  const found: StreamObstacle[] = [];
  if (mode !== 'precopy')
    found.push(
      lacks(
        `it is for pre-copy, and not for ${mode}`,
        'It goes by pre-copy: leave --mode out, or take a strategy of --steering without post-copy.',
      ),
    );
  if (compress !== 'none')
    found.push(lacks('it sends pages as they are, uncompressed', 'Leave --compress out.'));
  if (transport === 'zero-copy' && streams < 2)
    found.push(
      lacks('QEMU sends without a copy on several streams alone', 'Say --streams 2 or more.'),
    );
  if (transport === 'rdma' && streams > 1)
    found.push(lacks('QEMU has one stream over RDMA', 'Leave --streams out.'));
  // Where it arrives, memory is received as ever.
  if (transport === 'zero-copy' && isSource && !has.capabilities.includes('zero-copy-send'))
    found.push(
      lacks(
        `QEMU ${has.version} lacks zero-copy-send`,
        'It takes QEMU 7.1 or later on Linux: leave the option out for this guest.',
      ),
    );
  if (transport === 'rdma' && has.rdma === false)
    found.push(
      lacks(
        `QEMU ${has.version} was built without RDMA`,
        'Install a QEMU that was built with it (librdmacm), or leave the option out.',
      ),
    );
  const { lockable } = has;
  if (lockable !== undefined && lockable.bytes < lockable.neededBytes)
    found.push(
      lacks(
        `QEMU may lock ${formatBytes(lockable.bytes)} of memory, and it takes up to ${formatBytes(lockable.neededBytes)}`,
        `Run \`prlimit --pid ${lockable.pid} --memlock=${lockable.neededBytes}\` on its host; \`LimitMEMLOCK\` of the agent’s unit is for guests to come.`,
      ),
    );
  return found;
}
