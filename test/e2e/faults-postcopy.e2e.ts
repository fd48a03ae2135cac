import { describeFaults } from './support/fault-cells.ts';

describeFaults('a post-copy migration in which something dies', 'postcopy', {
  'kill-source-mover': ['before-switch', 'switchover', 'after-commit', 'cleanup'],
  'kill-destination-mover': ['before-switch', 'switchover', 'after-commit'],
  'kill-source-agent': ['after-commit'],
  'kill-destination-agent': ['after-commit'],
  'link-reset': ['after-commit'],
  'link-dark-5s': ['after-commit'],
});

describeFaults('a hybrid migration in which something dies', 'hybrid', {
  'kill-source-mover': ['later-round', 'switchover'],
  'kill-destination-mover': ['later-round', 'before-switch'],
  'link-reset': ['later-round'],
});
