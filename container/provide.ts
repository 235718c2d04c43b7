import { type DependencyContainer, type InjectionToken, instanceCachingFactory } from 'tsyringe'

/** One instance for the container: tsyringe's own factories make a new one at each resolve. */
export function provide<Service>(
  container: DependencyContainer,
  token: InjectionToken<Service>,
  make: () => Service,
): void {
  container.register(token, { useFactory: instanceCachingFactory(make) })
}
