import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** Runs scenarios in turn, says how each went, and ends with status 1 if one failed: one JVM start for many facts. */
final class Scenarios {
    interface Scenario {
        void run() throws Exception;
    }

    private final Map<String, Scenario> scenarios = new LinkedHashMap<>();

    Scenarios add(String fact, Scenario scenario) {
        scenarios.put(fact, scenario);
        return this;
    }

    /** The number of failures. */
    int run() {
        int failures = 0;
        for (Map.Entry<String, Scenario> scenario : scenarios.entrySet()) {
            long start = System.currentTimeMillis();
            try {
                scenario.getValue().run();
                System.out.printf("ok (%d ms): %s%n", System.currentTimeMillis() - start, scenario.getKey());
            } catch (Throwable failure) {
                failures++;
                System.out.printf("FAILED: %s%n", scenario.getKey());
                failure.printStackTrace(System.out);
            }
        }
        return failures;
    }

    static void equal(Object expected, Object got, String what) {
        check(Objects.equals(expected, got), what + ": expected " + expected + ", got " + got);
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    /** Calls {@code action}, which must fail with {@code expected}, alone or as the cause. */
    static <E extends Throwable> E fails(Class<E> expected, Callable<?> action) throws Exception {
        Object result;
        try {
            result = action.call();
        } catch (Throwable thrown) {
            Throwable failure = thrown instanceof ExecutionException ? thrown.getCause() : thrown;
            if (expected.isInstance(failure)) {
                return expected.cast(failure);
            }
            throw new AssertionError("expected " + expected.getSimpleName() + ", got " + failure, failure);
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", got " + result);
    }

    /** False if {@code failure} was caused by {@code expected}, for another try; else throws it. */
    static boolean rethrowUnless(Class<?> expected, ExecutionException failure) throws ExecutionException {
        if (!expected.isInstance(failure.getCause())) {
            throw failure;
        }
        return false;
    }

    /** Repeats {@code action} until it gives true; fails after 30 seconds. */
    static void eventually(String what, Callable<Boolean> action) throws Exception {
        long deadline = System.currentTimeMillis() + 30_000;
        while (!action.call()) {
            check(System.currentTimeMillis() < deadline, "waited 30 s until " + what);
            Thread.sleep(20);
        }
    }
}
