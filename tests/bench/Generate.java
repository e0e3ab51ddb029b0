import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.metadata.placement.UsableBroker;

/**
 * What `kafka-reassign-partitions --generate` proposes, without a cluster to ask: the method that it
 * calls once it knows the brokers and the replicas.
 *
 * stdin: `broker ID RACK` and `partition TOPIC NUMBER ID,ID,...` lines; stdout: `TOPIC NUMBER ID,ID,...`.
 */
public class Generate {
    public static void main(String[] args) throws Exception {
        List<UsableBroker> brokers = new ArrayList<>();
        Map<TopicPartition, List<Integer>> now = new HashMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] word = line.split(" ");
            if (word[0].equals("broker")) {
                brokers.add(new UsableBroker(Integer.parseInt(word[1]), Optional.of(word[2]), false));
            } else {
                List<Integer> replicas = new ArrayList<>();
                for (String id : word[3].split(",")) {
                    replicas.add(Integer.valueOf(id));
                }
                now.put(new TopicPartition(word[1], Integer.parseInt(word[2])), replicas);
            }
        }
        Class<?> tool = Class.forName("org.apache.kafka.tools.reassign.ReassignPartitionsCommand");
        Method plan = tool.getDeclaredMethod("calculateAssignment", Map.class, List.class);
        plan.setAccessible(true);
        Map<?, ?> then = (Map<?, ?>) plan.invoke(null, now, brokers);
        PrintStream out = new PrintStream(System.out, false);
        for (Map.Entry<?, ?> entry : then.entrySet()) {
            TopicPartition tp = (TopicPartition) entry.getKey();
            String replicas = entry.getValue().toString().replaceAll("[\\[\\] ]", "");
            out.println(tp.topic() + " " + tp.partition() + " " + replicas);
        }
        out.flush();
    }
}
