import { rm } from 'node:fs/promises';
import path from 'node:path';
import { godwitError, type GodwitError } from '../src/errors.ts';
import type { AgentConfigInput } from '../src/config.ts';
import {
  cephBin,
  cephPrograms,
  clientFiles,
  importImage,
  LAB_POOL,
  LAB_RBD_URL,
  rbdName,
  removeImages,
  startCeph,
} from './ceph.ts';
import { runCommand } from './command.ts';
import { missingPrograms, systemEnvironment } from './environment.ts';
import {
  addLun,
  initiatorOf,
  iscsiPrograms,
  LAB_ISCSI_URL,
  removeLuns,
  startIscsi,
  targetPlace,
} from './iscsi.ts';
import { LAB_NFS_URL, NFS_PROGRAMS, startNfs } from './nfs.ts';
import { type LabStorage, namespaceOf, servedStorage, type ServedStorage } from './plan.ts';
import { processesInNamespaces } from './processes.ts';
import { type Lab, storageDirectory } from './state.ts';

/** What a lab's storage has a server for: what that needs, how it starts, and what hosts and guests make of it. */
interface StorageServer {
  readonly url: string;
  /** The server's own name, for messages. */
  readonly what: string;
  programs(): string[];
  /** Where its programs come from. */
  readonly hint: string;
  /** The program that serves. */
  readonly server: string;
  start(lab: Lab, signal: AbortSignal | undefined): Promise<void>;
  /** What a host's configuration has for it. */
  configured(lab: Lab, host: string): NonNullable<AgentConfigInput['storage']>[number];
  /** A block node of it that QEMU goes to no server for: only a client that is there finds fault with it. */
  readonly asked: string;
}

const SERVED: Readonly<Record<ServedStorage, StorageServer>> = {
  nfs: {
    url: LAB_NFS_URL,
    what: 'an NFS server',
    programs: () => NFS_PROGRAMS,
    hint: 'Run `npm run setup`, or install nfs-ganesha, nfs-ganesha-vfs and rpcbind; their services need not run.',
    server: 'ganesha.nfsd',
    start: startNfs,
    configured: () => ({ nfs: LAB_NFS_URL }),
    // A path without a directory.
    asked: 'server.type=inet,server.host=127.0.0.1,path=none',
  },
  iscsi: {
    url: LAB_ISCSI_URL,
    what: 'an iSCSI target',
    programs: iscsiPrograms,
    hint: 'Run `tools/setup.sh --only iscsi`.',
    server: 'tgtd',
    start: startIscsi,
    configured: (_lab, host) => ({ iscsi: LAB_ISCSI_URL, initiator: initiatorOf(host) }),
    asked: 'transport=tcp',
  },
  rbd: {
    url: LAB_RBD_URL,
    what: 'a Ceph',
    programs: cephPrograms,
    hint: 'Run `tools/setup.sh --only ceph`.',
    server: 'ceph-osd',
    start: startCeph,
    configured: (lab) => ({ rbd: LAB_POOL, ...clientFiles(lab) }),
    asked: 'pool=none',
  },
};

function served(lab: Pick<Lab, 'storage'>): StorageServer | undefined {
  const kind = servedStorage(lab);
  return kind === undefined ? undefined : SERVED[kind];
}

/** Why a lab cannot have this storage here; undefined where it can. */
export async function storageLacks(
  storage: LabStorage | undefined,
  uid = process.getuid?.(),
): Promise<GodwitError | undefined> {
  const kind = served({ storage });
  if (kind === undefined) return undefined;
  if (uid !== 0) {
    const needs = 'root, for the server of its storage';
    const hint = 'Run it as root, or choose --storage shared.';
    const what = `a lab with --storage ${storage}`;
    return godwitError('GODWIT_PRIVILEGE', { what, needs }, { hint });
  }
  const missing = await missingPrograms(kind.programs());
  if (missing.length === 0) return undefined;
  const names = missing.map((file) => path.basename(file)).join(', ');
  return godwitError('GODWIT_HOST_LACKS', { what: `${kind.what} (${names})` }, { hint: kind.hint });
}

/** Why a QEMU of this machine cannot open what lies on the lab's storage. */
export async function storageClientLacks(
  lab: Pick<Lab, 'storage'>,
  qemu: string,
): Promise<GodwitError | undefined> {
  const kind = served(lab);
  if (kind === undefined) return undefined;
  const node = `driver=${lab.storage},node-name=asked,${kind.asked}`;
  const words = ['-machine', 'none', '-nodefaults', '-display', 'none', '-blockdev', node];
  try {
    await runCommand([qemu, ...words]);
    return undefined;
  } catch (error) {
    if (!/unknown driver/i.test(String(error))) return undefined;
    const what = `a client of ${lab.storage} in QEMU (for ${qemu})`;
    const hint = 'Run `npm run setup`, or install qemu-block-extra of the same version.';
    return godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause: error });
  }
}

/** Starts the storage's server, in a lab that has one. It ends with the lab. */
export async function startStorage(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  await served(lab)?.start(lab, signal);
}

/** What a host's agent is told of the lab's storage. */
export function hostStorage(
  lab: Lab,
  host: string,
): NonNullable<AgentConfigInput['storage']>[number] {
  return served(lab)?.configured(lab, host) ?? { path: storageDirectory(lab, host) };
}

/** What agents have to find on their PATH for it. */
export function storageEnvironment({ storage }: Pick<Lab, 'storage'>): NodeJS.ProcessEnv {
  return storage === 'rbd' ? { PATH: `${cephBin()}:${systemEnvironment()['PATH']}` } : {};
}

/** What serves guests' disks, in a lab that has such a server, and whether it is there. */
export interface ServerStatus {
  readonly url: string;
  readonly serverUp: boolean;
}

/** Where it is, and whether its server is there; by its kind. Nothing in other labs. */
export async function storageStatus(
  lab: Lab,
): Promise<Partial<Record<ServedStorage, ServerStatus>>> {
  const kind = servedStorage(lab);
  if (kind === undefined) return {};
  const inode = lab.namespaces[namespaceOf(lab.name, kind)];
  const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
  const { url, server } = SERVED[kind];
  const serverUp = all.some(({ argv }) => path.basename(argv[0] ?? '') === server);
  return { [kind]: { url, serverUp } };
}

/** Whether its disks are raw, and holes are all that makes them thin: LUNs and images of RBD. */
export function hasRawDisks({ storage }: Pick<Lab, 'storage'>): boolean {
  return storage === 'iscsi' || storage === 'rbd';
}

/**
 * What QEMU is given for the image in a file, which is `image` to others. On an export it is the file itself, a LUN
 * serves it, and a pool takes what it holds: then the file is gone.
 */
export async function publish(
  lab: Lab,
  { host, file, image }: { readonly host: string; readonly file: string; readonly image: string },
): Promise<string> {
  switch (servedStorage(lab)) {
    case undefined:
      return file;
    case 'nfs':
      return exportedAs(lab, host, file);
    case 'iscsi':
      return `${LAB_ISCSI_URL}/${await addLun(targetPlace(lab), file)}`;
    case 'rbd':
      await importImage(lab, file, image);
      await rm(file);
      return rbdName(lab, image);
  }
}

/** A file of a lab's export as clients of NFS name it; in other labs the file. */
export function exportedAs(lab: Lab, host: string, file: string): string {
  if (lab.storage !== 'nfs') return file;
  return `${LAB_NFS_URL}/${path.relative(storageDirectory(lab, host), file)}`;
}

/** Takes back what was published of a guest whose QEMU has ended; its files in `directory` are not touched. */
export async function withdraw(lab: Lab, guest: string, directory: string): Promise<void> {
  if (lab.storage === 'iscsi') await removeLuns(targetPlace(lab), directory);
  if (lab.storage === 'rbd') await removeImages(lab, guest);
}
