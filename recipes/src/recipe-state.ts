/** Where a recipe is in its life. The steps go one way. */
import { ZooKeeperError } from 'zookeeper-client-ts';

/** Made, started, closed. A recipe may be started before its client: it waits. */
export type RecipeState = 'LATENT' | 'STARTED' | 'CLOSED';

/** The recipe can't do that in its present state: it is not started, was started before, or is closed. */
export class RecipeStateError extends ZooKeeperError {
  override readonly name = 'RecipeStateError';
  override readonly code = 'RECIPE_STATE';
}
