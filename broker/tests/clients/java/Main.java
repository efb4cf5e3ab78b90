/** {@code java Main BOOTSTRAP SUITE}: runs one suite of scenarios; status 1 if one failed. */
public final class Main {
    public static void main(String[] arguments) {
        Tool.takeOverOutputAndExit();
        int failures;
        try (Clients clients = new Clients(arguments[0])) {
            failures = suite(arguments[1], clients).run();
        }
        System.out.flush();
        Runtime.getRuntime().halt(failures == 0 ? 0 : 1);
    }

    private static Scenarios suite(String name, Clients clients) {
        return switch (name) {
            case "topics" -> new TopicScenarios(clients).all();
            case "groups" -> new GroupScenarios(clients).all();
            case "records" -> new RecordScenarios(clients).all();
            case "consumers" -> new ConsumerScenarios(clients).all();
            case "tools" -> new ToolScenarios(clients).all();
            case "cluster-tools" -> new ClusterToolScenarios(clients).all();
            case "write" -> new RestartScenarios(clients).write();
            case "find" -> new RestartScenarios(clients).find();
            case "write-metadata" -> new MetadataScenarios(clients).write();
            case "find-metadata" -> new MetadataScenarios(clients).find();
            default -> throw new IllegalArgumentException(name);
        };
    }
}
