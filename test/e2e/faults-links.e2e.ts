import { describeFaults } from './support/fault-cells.ts';

describeFaults('a pre-copy migration whose link, clock or agent fails', 'precopy', {
  'link-reset': ['preparing', 'first-round', 'before-switch', 'switchover', 'after-commit'],
  'link-dark-5s': ['first-round', 'switchover'],
  'link-slow': ['later-round'],
  'link-one-way': ['later-round', 'after-commit'],
  'disk-readonly': ['checking'],
  'clock-step': ['first-round', 'switchover'],
});
