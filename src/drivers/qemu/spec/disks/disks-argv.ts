import { defined } from '../../../../protocol/defined.ts';
import { parseNfs, type NfsPlace } from '../../../../protocol/nfs-url.ts';
import { parseIscsi, type IscsiPlace } from '../../../../protocol/iscsi-url.ts';
import { isOnNetwork } from '../../../../protocol/network-file.ts';
import { parseRbd, type RbdPlace } from '../../../../protocol/rbd-name.ts';
import type { BlockNode } from './disk-schema.ts';

/** `-blockdev` arguments for a guest's images; `files`: each image's path here. Pure. */
export function blockdevWords(
  nodes: readonly BlockNode[],
  files: ReadonlyMap<string, string>,
): string[] {
  return nodes.flatMap((each) => {
    return openings(each, files.get(each.node) ?? '').flatMap((given) => [
      '-blockdev',
      JSON.stringify(given),
    ]);
  });
}

/** Secrets for the images, each in a file that QEMU can read, as `-object` arguments before them. Pure. */
export function secretWords(
  nodes: readonly BlockNode[],
  files: ReadonlyMap<string, string>,
  passphrases: ReadonlyMap<string, string> = new Map(),
): string[] {
  return nodes.flatMap(({ node }) => {
    const file = files.get(node) ?? '';
    const key = parseRbd(file)?.keyFile;
    const password = parseIscsi(file)?.passwordFile;
    const passphrase = passphrases.get(node);
    return [
      ...(key === undefined ? [] : secretOf(secretId(node), key, 'base64')),
      ...(password === undefined ? [] : secretOf(secretId(node), password, 'raw')),
      ...(passphrase === undefined ? [] : secretOf(passphraseId(node), passphrase, 'raw')),
    ];
  });
}

function secretOf(id: string, file: string, format: 'base64' | 'raw'): string[] {
  return ['-object', JSON.stringify({ 'qom-type': 'secret', id, file, format })];
}

/** Local object: it is not sent to another host. */
function secretId(node: string): string {
  return `godwit-key-${node}`;
}

function passphraseId(node: string): string {
  return `godwit-luks-${node}`;
}

/** Nodes of one image in the order file, format, filters. Pure. */
export function openings(each: BlockNode, file: string): object[] {
  return [fileNode(each, file), ...formatNode(each), ...filterNodes(each)];
}

function filterNodes({ node, filters = [], readOnly }: BlockNode): object[] {
  return filters.map((filter, index) => ({
    driver: filter.kind,
    'node-name': filter.node,
    file: filters[index - 1]?.node ?? node,
    ...(filter.kind === 'throttle' ? { 'throttle-group': filter.group } : {}),
    'read-only': readOnly,
    discard: filter.discard,
    'detect-zeroes': filter.detectZeroes,
  }));
}

function fileNode(each: BlockNode, filename: string): object {
  const [place, lun, image] = [parseNfs(filename), parseIscsi(filename), parseRbd(filename)];
  const opening = (place && onExport(place)) ??
    (lun && ofTarget(lun, each)) ??
    (image && ofPool(image, each.node)) ?? {
      driver: each.device === true ? 'host_device' : 'file',
      filename,
    };
  return {
    ...opening,
    'node-name': each.file ?? each.node,
    ...opened(each),
    discard: each.file === undefined ? each.discard : each.fileDiscard,
    ...(each.file === undefined ? { 'detect-zeroes': each.detectZeroes } : {}),
    // QEMU's network clients have neither.
    ...(isOnNetwork(filename) ? {} : { aio: each.aio, locking: each.locking }),
  };
}

function onExport({ host, path, user, group }: NfsPlace): object {
  return {
    driver: 'nfs',
    server: { type: 'inet', host },
    path,
    ...defined({ user, group }),
  };
}

function ofTarget(place: IscsiPlace, { node, timeout }: BlockNode): object {
  const { host, port, target, lun, initiator, user } = place;
  return {
    driver: 'iscsi',
    transport: 'tcp',
    portal: `${host}:${port}`,
    target,
    lun,
    ...defined({ 'initiator-name': initiator }),
    ...(user === undefined ? {} : { user, 'password-secret': secretId(node) }),
    ...defined({ timeout }),
  };
}

function ofPool({ pool, namespace, image, user, conf, keyFile }: RbdPlace, node: string): object {
  return {
    driver: 'rbd',
    pool,
    ...defined({ namespace }),
    image,
    ...defined({ conf, user }),
    ...(keyFile === undefined ? {} : { 'key-secret': secretId(node) }),
  };
}

function formatNode(each: BlockNode): object[] {
  if (each.file === undefined) return [];
  return [
    {
      ...layerOf(each),
      'node-name': each.node,
      file: each.file,
      ...opened(each),
      discard: each.discard,
      'detect-zeroes': each.detectZeroes,
      // Without it, QEMU would open the header's backing file and guess its format.
      ...(each.format === 'qcow2' ? { backing: each.backing ?? null, ...each.tuning } : {}),
    },
  ];
}

function layerOf({ format, luks, node }: BlockNode): object {
  if (luks !== true) return { driver: format };
  const secret = { 'key-secret': passphraseId(node) };
  return format === 'raw'
    ? { driver: 'luks', ...secret }
    : { driver: format, encrypt: { format: 'luks', ...secret } };
}

function opened({ readOnly, direct }: BlockNode): object {
  return { 'read-only': readOnly, cache: { direct, 'no-flush': false } };
}
