import { bringContainers } from '../drivers/criu/bring.ts';
import { describeFaults } from './support/fault-cells.ts';

// What container.e2e.ts does not kill already.
describeFaults(
  'a container’s migration in which something dies',
  'precopy',
  {
    'kill-source-mover': ['box-dump', 'box-restore', 'box-after-commit'],
    'kill-destination-mover': ['box-restore', 'box-after-commit'],
    'kill-source-agent': ['box-dump'],
    'kill-source-runc': ['box-dump'],
    'kill-destination-criu': ['box-restore'],
    'link-dark-5s': ['box-restore'],
    'storage-full': ['box-dump'],
    'kill-destination-container': ['box-after-commit'],
    'kill-source-container': ['box-memory'],
  },
  bringContainers,
);

// What container-postcopy.e2e.ts does not kill already.
describeFaults(
  'a container’s post-copy in which something dies',
  'postcopy',
  {
    'kill-destination-pager': ['box-restore', 'box-following'],
    'kill-destination-criu': ['box-restore'],
    'kill-destination-mover': ['box-restore'],
    'kill-source-mover': ['box-dump', 'box-restore'],
    'kill-source-agent': ['box-following'],
    'kill-destination-agent': ['box-following'],
    'link-reset': ['box-restore', 'box-following'],
    'link-dark-5s': ['box-restore'],
    'storage-full': ['box-restore', 'box-following'],
    'kill-destination-container': ['box-following'],
  },
  bringContainers,
);
