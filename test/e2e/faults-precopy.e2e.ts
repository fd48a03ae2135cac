import { describeFaults } from './support/fault-cells.ts';

describeFaults('a pre-copy migration in which something dies', 'precopy', {
  'kill-source-mover': [
    'checking',
    'preparing',
    'first-round',
    'switchover',
    'after-commit',
    'cleanup',
  ],
  'kill-destination-mover': [
    'checking',
    'first-round',
    'before-switch',
    'switchover',
    'after-commit',
  ],
  'kill-source-agent': ['checking', 'first-round', 'switchover'],
  'kill-destination-agent': ['preparing', 'switchover'],
  'kill-destination-qemu': ['preparing', 'first-round', 'switchover'],
  'kill-source-qemu': ['first-round'],
});
