import { z } from 'zod';
import { iscsiName, iscsiTargetUrl, iscsiUser } from '../protocol/iscsi-url.ts';
import { numericId, nfsUrl } from '../protocol/nfs-url.ts';
import { cephFile, rbdName, rbdPoolName } from '../protocol/rbd-name.ts';
import { lvmGroupName, lvmName, zfsDataset } from '../protocol/volume-names.ts';

const path = z.string().min(1).max(4096);

const make = z.union(
  [
    z.strictObject({ lvm: lvmGroupName, thinPool: lvmName.optional() }),
    /** Below a data set; `sparse`: volumes reserve no space. */
    z.strictObject({ zfs: zfsDataset, sparse: z.boolean().optional() }),
  ],
  'neither { lvm } of a volume group nor { zfs } of a data set',
);
export type Make = z.infer<typeof make>;

const place = z.union(
  [
    z.strictObject({
      path,
      /** false: no file locks there, so arriving guests open their images without. */
      locks: z.boolean().optional(),
    }),
    /** Block devices by name in a directory: /dev/mapper, a volume group's, /dev/disk/by-id. */
    z.strictObject({
      devices: path,
      /** Where Godwit creates volumes for copies of block devices; default: files. */
      make: make.optional(),
    }),
    z.strictObject({
      nfs: nfsUrl,
      /** Uid and gid for access; default: the agent's. */
      user: numericId.optional(),
      group: numericId.optional(),
    }),
    z
      .strictObject({
        iscsi: iscsiTargetUrl,
        /** Initiator name for its LUNs; default: QEMU's. */
        initiator: iscsiName.optional(),
        /** CHAP user, and the file with the password, readable only by the agent: both or neither. */
        user: iscsiUser.optional(),
        passwordFile: path.optional(),
      })
      .refine(
        ({ user, passwordFile }) => (user === undefined) === (passwordFile === undefined),
        'user and passwordFile belong together',
      ),
    z.strictObject({
      /** A pool, or POOL/NAMESPACE. */
      rbd: rbdPoolName,
      /** Ceph's `client.USER`; default: admin. */
      user: rbdName.optional(),
      /** Default: Ceph's own, /etc/ceph/ceph.conf. */
      conf: cephFile.optional(),
      /** The user's key; default: /etc/ceph/ceph.client.USER.keyring. */
      keyring: cephFile.optional(),
    }),
  ],
  'neither { path } of a directory, { devices } of a directory of block devices, { nfs } of an export, { iscsi } of a target, nor { rbd } of a pool',
);

export const storageSettings = z.array(place).max(64).default([]);
export type StoragePlace = z.infer<typeof storageSettings>[number];
