import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;

/**
 * One load client in Java, producer or consumer: {@code LoadClient SPEC LEDGER}.
 *
 * SPEC is a properties file: {@code load.*} is the load's, everything under {@code client.} goes
 * to the Kafka client. Records and ledger lines have the form that record.py and ledger.py
 * document. SIGTERM ends it as an application should end: flush or commit, then close.
 */
public final class LoadClient {
    private static final long TICK_MS = 50;
    private static final long BLOCK = 1000;
    private static final int RUN = 4;

    private final Properties load = new Properties();
    private final Properties client = new Properties();
    private final Ledger ledger;
    private final CountDownLatch stop = new CountDownLatch(1);
    private final CountDownLatch done = new CountDownLatch(1);
    private final MessageDigest sha;

    public static void main(String[] args) throws Exception {
        Properties all = new Properties();
        try (FileInputStream in = new FileInputStream(args[0])) {
            all.load(in);
        }
        String cache = all.getProperty("load.dns_cache", "");
        if (!cache.isEmpty()) {
            java.security.Security.setProperty("networkaddress.cache.ttl", cache);
        }
        LoadClient program = new LoadClient(all, args[1]);
        Runtime.getRuntime().addShutdownHook(new Thread(program::shutDown));
        int code = 1;
        try {
            code = program.run();
        } finally {
            program.done.countDown();
        }
        Runtime.getRuntime().halt(code);
    }

    private LoadClient(Properties all, String path) throws Exception {
        sha = MessageDigest.getInstance("SHA-256");
        for (String key : all.stringPropertyNames()) {
            if (key.startsWith("client.")) {
                client.setProperty(key.substring(7), all.getProperty(key));
            } else {
                load.setProperty(key.substring(5), all.getProperty(key));
            }
        }
        ledger = new Ledger(path);
    }

    private void shutDown() {
        stop.countDown();
        try {
            done.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private int run() throws Exception {
        boolean producer = get("role").equals("producer");
        ledger.add("S " + get("role") + " " + get("name") + " " + get("kind") + " " + get("group")
            + " " + get("topics"), now());
        ledger.flush();
        int code = producer ? produce() : consume();
        ledger.add("X", now());
        ledger.flush();
        return code;
    }

    private int produce() throws Exception {
        String name = get("name");
        String[] topics = get("topics").split(",");
        double rate = Double.parseDouble(get("rate"));
        int keys = Integer.parseInt(get("keys"));
        int size = Integer.parseInt(get("size"));
        long seq = Long.parseLong(get("first"));
        long reserved = seq;
        AtomicLong open = new AtomicLong();
        KafkaProducer<String, String> out = new KafkaProducer<>(client);
        long last = System.nanoTime();
        double owed = 0;
        while (!stop.await(TICK_MS, TimeUnit.MILLISECONDS)) {
            long tick = System.nanoTime();
            owed = Math.min(owed + (tick - last) / 1e9 * rate, Math.max(1, rate));
            last = tick;
            for (; owed >= 1; owed--, seq++) {
                if (seq >= reserved) {
                    reserved = seq + BLOCK;
                    ledger.add("R " + reserved, now());
                    ledger.flush();
                }
                long run = seq / RUN;
                String topic = topics[(int) (run % topics.length)];
                String key = "k" + run / topics.length % keys;
                long number = seq;
                long sent = now();
                open.incrementAndGet();
                try {
                    out.send(new ProducerRecord<>(topic, key, value(name, number, key, size)), (at, error) -> {
                        open.decrementAndGet();
                        if (error == null) {
                            ledger.add("A " + number + " " + at.topic() + " " + at.partition() + " "
                                + at.offset() + " " + sent, now());
                        } else {
                            ledger.add("F " + number + " " + oneLine(error), now());
                        }
                    });
                } catch (KafkaException error) {
                    // Most failures reach the callback too; this one did not go out at all.
                    open.decrementAndGet();
                    ledger.add("F " + number + " " + oneLine(error), now());
                }
            }
            ledger.flush();
        }
        out.close(Duration.ofSeconds(45));
        if (open.get() > 0) {
            ledger.add("F -1 " + open.get() + " records without an answer at the end", now());
        }
        return open.get() > 0 ? 1 : 0;
    }

    private int consume() throws Exception {
        boolean auto = Boolean.parseBoolean(get("auto_commit"));
        long every = (long) (Double.parseDouble(get("commit_every")) * 1e9);
        Map<String, Long> fresh = new TreeMap<>();
        KafkaConsumer<String, String> in = new KafkaConsumer<>(client);
        in.subscribe(List.of(get("topics").split(",")), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                commit(in, fresh, auto);
                fresh.clear();
            }

            @Override
            public void onPartitionsLost(Collection<TopicPartition> lost) {
                fresh.clear();
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            }
        });
        long committed = System.nanoTime();
        while (stop.getCount() > 0) {
            try {
                ConsumerRecords<String, String> batch = in.poll(Duration.ofMillis(100));
                deliver(batch, fresh);
                if (System.nanoTime() - committed >= every) {
                    commit(in, fresh, auto);
                    committed = System.nanoTime();
                }
                if (!batch.isEmpty()) {
                    stop.await(TICK_MS, TimeUnit.MILLISECONDS); // a fuller batch next time
                }
            } catch (KafkaException error) {
                boolean passes = error instanceof RetriableException;
                ledger.add((passes ? "N " : "F -1 ") + oneLine(error), now());
                ledger.flush();
                if (stop.await(250, TimeUnit.MILLISECONDS)) {
                    break;
                }
            }
        }
        commit(in, fresh, auto);
        in.close();
        return 0;
    }

    private void deliver(ConsumerRecords<String, String> batch, Map<String, Long> fresh)
        throws IOException {
        long at = now();
        for (ConsumerRecord<String, String> record : batch) {
            String where = " " + record.topic() + " " + record.partition() + " " + record.offset();
            String[] parts = record.value() == null ? new String[0] : record.value().split(" ", 4);
            if (parts.length == 4 && parts[1].matches("\\d{1,18}")) {
                if (!hash(parts[0], parts[1], record.key(), parts[3]).equals(parts[2])) {
                    ledger.add("F " + parts[1] + " damaged record" + where, at);
                }
                ledger.add("D " + parts[0] + " " + parts[1] + where, at);
            } else {
                ledger.add("D - -1" + where, at);
            }
            fresh.put(record.topic() + ":" + record.partition() + ":", record.offset() + 1);
        }
        ledger.flush();
    }

    private void commit(KafkaConsumer<?, ?> in, Map<String, Long> fresh, boolean auto) {
        if (auto || fresh.isEmpty()) {
            return;
        }
        StringBuilder positions = new StringBuilder();
        fresh.forEach((place, position) -> positions.append(',').append(place).append(position));
        ledger.add("Q " + positions.substring(1), now());
        ledger.flush();
        try {
            in.commitSync();
            ledger.add("C " + positions.substring(1), now());
            fresh.clear();
        } catch (KafkaException error) {
            ledger.add("M " + oneLine(error), now());
        }
        ledger.flush();
    }

    private String value(String name, long seq, String key, int size) {
        String number = Long.toHexString(seq) + ".";
        String filler = number.repeat(size / number.length() + 1);
        String payload = filler.substring(0, Math.max(8, size - name.length() - 28));
        return name + " " + seq + " " + hash(name, Long.toString(seq), key, payload) + " " + payload;
    }

    private String hash(String name, String seq, String key, String payload) {
        String text = name + " " + seq + " " + key + " " + payload;
        byte[] digest = sha.digest(text.getBytes(StandardCharsets.US_ASCII));
        return HexFormat.of().formatHex(Arrays.copyOf(digest, 8));
    }

    private String get(String key) {
        return load.getProperty(key);
    }

    private static long now() {
        Instant instant = Instant.now();
        return instant.getEpochSecond() * 1_000_000_000L + instant.getNano();
    }

    private static String oneLine(Throwable error) {
        String text = String.valueOf(error).replaceAll("\\s+", " ");
        return text.substring(0, Math.min(300, text.length()));
    }

    /** An append-only file; lines gather until flush, which writes them at once. */
    private static final class Ledger {
        private final FileOutputStream file;
        private final StringBuilder lines = new StringBuilder();

        Ledger(String path) throws IOException {
            file = new FileOutputStream(path, true);
            try (RandomAccessFile old = new RandomAccessFile(path, "r")) {
                if (old.length() > 0) {
                    old.seek(old.length() - 1);
                    if (old.read() != '\n') {
                        file.write('\n');
                    }
                }
            }
        }

        synchronized void add(String line, long at) {
            lines.append(line).append(' ').append(at).append('\n');
        }

        synchronized void flush() {
            if (lines.length() == 0) {
                return;
            }
            byte[] data = lines.toString().getBytes(StandardCharsets.UTF_8);
            lines.setLength(0);
            try {
                file.write(data);
            } catch (IOException error) {
                // A load without a ledger proves nothing: stop at once.
                error.printStackTrace();
                Runtime.getRuntime().halt(3);
            }
        }
    }
}
