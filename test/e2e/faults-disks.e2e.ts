import { describeFaults } from './support/fault-cells.ts';

describeFaults('a pre-copy migration with disks in which something fails', 'precopy', {
  'kill-source-mover': ['seeding', 'disks-first-pass'],
  'kill-destination-qemu': ['disks-ready'],
  'link-reset': ['disks-switch'],
  'storage-full': ['disks-first-pass'],
});

describeFaults('a post-copy migration with disks in which something dies', 'postcopy', {
  'kill-destination-mover': ['disks-ready'],
});
