import { z } from 'zod';
import { iscsiName, iscsiTargetUrl, iscsiUser } from '../protocol/iscsi-url.ts';
import { numericId, nfsUrl } from '../protocol/nfs-url.ts';
import { cephFile, rbdName, rbdPoolName } from '../protocol/rbd-name.ts';
import { lvmGroupName, lvmName, zfsDataset } from '../protocol/volume-names.ts';

const path = z.string().min(1).max(4096);

const make = z.union(
  [
    z.strictObject({ lvm: lvmGroupName, thinPool: lvmName.optional() }),
    /** Below a data set; `sparse`: without room reserved for all of a volume. */
    z.strictObject({ zfs: zfsDataset, sparse: z.boolean().optional() }),
  ],
  'neither { lvm } of a volume group nor { zfs } of a data set',
);
export type Make = z.infer<typeof make>;

/** One place where guests' disks may lie. */
const place = z.union(
  [
    z.strictObject({
      path,
      /** false: it has no file locks, so that guests that come here open their images without. */
      locks: z.boolean().optional(),
    }),
    /** Block devices, by their names in a directory: /dev/mapper, that of a volume group, /dev/disk/by-id. */
    z.strictObject({
      devices: path,
      /** Copies of disks that lie on block devices become volumes there, which Godwit makes; default: files. */
      make: make.optional(),
    }),
    z.strictObject({
      nfs: nfsUrl,
      /** The numbers of the user and the group as whom it is opened; default: those of the agent. */
      user: numericId.optional(),
      group: numericId.optional(),
    }),
    z
      .strictObject({
        iscsi: iscsiTargetUrl,
        /** The initiator name by which its LUNs are opened; default: that of QEMU's client. */
        initiator: iscsiName.optional(),
        /** As whom one logs in by CHAP, and the file with the password, for the agent alone to read: both or neither. */
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
      /** Whom Ceph knows as `client.USER`; default: admin. */
      user: rbdName.optional(),
      /** Default: Ceph's own, /etc/ceph/ceph.conf. */
      conf: cephFile.optional(),
      /** Where the user's key is; default: /etc/ceph/ceph.client.USER.keyring. */
      keyring: cephFile.optional(),
    }),
  ],
  'neither { path } of a directory, { devices } of a directory of block devices, { nfs } of an export, { iscsi } of a target, nor { rbd } of a pool',
);

export const storageSettings = z.array(place).max(64).default([]);
export type StoragePlace = z.infer<typeof storageSettings>[number];
