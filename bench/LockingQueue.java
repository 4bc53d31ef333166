/*
 * How fast Java Curator consumes a DistributedQueue with a path for locks: each message is locked, delivered, and deleted together with its lock.
 *
 *   java -cp CURATOR LockingQueue HOST:PORT ROOT MESSAGES ROUNDS
 *
 * Prints one line of JSON: the median of the rounds. `recipes.ts` compiles and runs it.
 */
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryOneTime;

class LockingQueue {
  static final QueueSerializer<byte[]> BYTES = new QueueSerializer<>() {
    public byte[] serialize(byte[] message) { return message; }
    public byte[] deserialize(byte[] message) { return message; }
  };

  static double consumedPerSecond(CuratorFramework client, String path, int messages) throws Exception {
    CountDownLatch left = new CountDownLatch(messages);
    QueueConsumer<byte[]> consumer = new QueueConsumer<>() {
      public void consumeMessage(byte[] message) { left.countDown(); }
      public void stateChanged(CuratorFramework client, ConnectionState state) {}
    };
    try (DistributedQueue<byte[]> producer = QueueBuilder.builder(client, null, BYTES, path).buildQueue()) {
      producer.start();
      for (int i = 0; i < messages; i++) producer.put(new byte[100]);
      producer.flushPuts(60, TimeUnit.SECONDS);
    }
    try (DistributedQueue<byte[]> queue =
        QueueBuilder.builder(client, consumer, BYTES, path).lockPath(path + "-locks").buildQueue()) {
      long startedAt = System.nanoTime();
      queue.start();
      left.await();
      return messages / ((System.nanoTime() - startedAt) / 1e9);
    }
  }

  public static void main(String[] args) throws Exception {
    int messages = Integer.parseInt(args[2]);
    double[] figures = new double[Integer.parseInt(args[3])];
    try (CuratorFramework client = CuratorFrameworkFactory.newClient(args[0], 30000, 10000, new RetryOneTime(100))) {
      client.start();
      client.blockUntilConnected();
      consumedPerSecond(client, args[1] + "-warm-up", messages);
      for (int round = 0; round < figures.length; round++)
        figures[round] = consumedPerSecond(client, args[1] + "-" + round, messages);
    }
    Arrays.sort(figures);
    System.out.printf("{\"case\":\"DistributedQueue, at least once\",\"consume_per_s\":%.1f}%n", figures[figures.length / 2]);
  }
}
