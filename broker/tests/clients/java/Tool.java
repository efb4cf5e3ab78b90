import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Exit;

/** Kafka's command-line tools, each run by its main method inside this JVM, as its shell script would run it. */
final class Tool {
    private static final PrintStream OUT = System.out;
    private static volatile PrintStream current = OUT;
    private static volatile Integer firstStatus;

    /** What a tool printed to both streams, and the status it ended with. */
    record Result(int status, String output) {
        /** The output of a tool that succeeded. */
        String succeeded() {
            Scenarios.equal(0, status, "status of a tool that printed\n" + output);
            return output;
        }

        /** The output of a tool that failed. */
        String failed() {
            Scenarios.check(status != 0, "this tool should have failed:\n" + output);
            return output;
        }
    }

    /** Ends a tool that wants to end the JVM. Some catch it and exit once more: the first status counts. */
    private static final class Exited extends RuntimeException {
        private static final long serialVersionUID = 1;

        Exited() {
            super("exit", null, false, false);
        }
    }

    /** To be called before any tool's class is loaded: some keep the System.out they find first. */
    static void takeOverOutputAndExit() {
        PrintStream switched = new PrintStream(new java.io.OutputStream() {
            @Override
            public void write(int b) {
                current.write(b);
            }

            @Override
            public void write(byte[] bytes, int start, int length) {
                current.write(bytes, start, length);
            }

            @Override
            public void flush() {
                current.flush();
            }
        }, true, StandardCharsets.UTF_8);
        System.setOut(switched);
        System.setErr(switched);
        Exit.Procedure exit = (status, message) -> {
            firstStatus = firstStatus == null ? status : firstStatus;
            throw new Exited();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
    }

    /** Runs the tool of this class name below org.apache.kafka.tools, or of this full name. */
    static Result run(String name, String... arguments) throws Exception {
        return runWithInput("", name, arguments);
    }

    static Result runWithInput(String input, String name, String... arguments) throws Exception {
        String fullName = name.startsWith("kafka.") ? name : "org.apache.kafka.tools." + name;
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        InputStream stdin = System.in;
        current = new PrintStream(output, true, StandardCharsets.UTF_8);
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        try {
            return new Result(status(fullName, arguments), output.toString(StandardCharsets.UTF_8));
        } finally {
            System.setIn(stdin);
            current = OUT;
        }
    }

    private static int status(String fullName, String[] arguments) throws Exception {
        firstStatus = null;
        try {
            Class.forName(fullName).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return firstStatus == null ? 0 : firstStatus;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Exited) {
                return firstStatus;
            }
            throw new AssertionError(fullName + " threw", thrown.getCause());
        }
    }
}
