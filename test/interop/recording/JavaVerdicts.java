import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.apache.jute.BinaryOutputArchive;
import org.apache.zookeeper.common.PathUtils;

/**
 * Prints, as JSON, what Apache ZooKeeper's own code says about paths, sequence numbers and strings. Run in single-file
 * source mode. Texts are in UTF-16 units, because some of them are not valid Unicode.
 */
public final class JavaVerdicts {
  private static final String[] PATHS = {
    "", "/", "//", "/a", "/a/", "a", "a/b", "/a/b/c", "/a//b", "/a/b//", "/.", "/..", "/a/.", "/a/..", "/a/./b", "/a/../b",
    "/...", "/.a", "/a.", "/..a", "/a..", "/a/.b", "/a/b.", "/a/...", "/./", "/../", "/.a/..b/c..", "/ ", "/a b", "/zookeeper",
    "/größe", "/漢字", "\\a", "/\\", "/a\nb", "/a\tb",
  };
  /** Around every border of the forbidden ranges. */
  private static final int[] UNITS = {
    0x0000, 0x0001, 0x001f, 0x0020, 0x007e, 0x007f, 0x0080, 0x009f, 0x00a0, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000,
    0xf8ff, 0xf900, 0xffef, 0xfff0, 0xfffd, 0xffff,
  };
  private static final int[] COUNTERS = {
    0, 1, 42, 999_999_999, 1_000_000_000, Integer.MAX_VALUE, -1, -42, -999_999_999, -1_000_000_000, Integer.MIN_VALUE + 1,
    Integer.MIN_VALUE,
  };
  private static final String[] STRINGS = {
    "", "a", "/größe", "漢字", "\u0000", "\u007f\u0080\u07ff\u0800\uffff", "🐘", "a🐘b", "\ud83d", "\udc18\ud83d",
  };

  public static void main(String[] args) throws Exception {
    List<String> paths = new ArrayList<>(List.of(PATHS));
    for (int unit : UNITS) {
      paths.add("/" + (char) unit);
      paths.add("/a" + (char) unit + "b/c");
    }
    List<String> pathVerdicts = new ArrayList<>();
    for (String path : paths) {
      pathVerdicts.add(String.format("    {\"units\": \"%s\", \"valid\": %s, \"validSequential\": %s}",
          units(path), isValid(path, false), isValid(path, true)));
    }
    List<String> sequences = new ArrayList<>();
    for (int counter : COUNTERS) {
      sequences.add(String.format("    {\"counter\": %d, \"suffix\": \"%s\"}",
          counter, String.format(Locale.ENGLISH, "%010d", counter)));
    }
    List<String> strings = new ArrayList<>();
    for (String string : STRINGS) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      BinaryOutputArchive.getArchive(bytes).writeString(string, "string");
      strings.add(String.format("    {\"units\": \"%s\", \"hex\": \"%s\"}",
          units(string), HexFormat.of().formatHex(bytes.toByteArray())));
    }
    System.out.printf("{%n  \"paths\": [%n%s%n  ],%n  \"sequences\": [%n%s%n  ],%n  \"strings\": [%n%s%n  ]%n}%n",
        String.join(",\n", pathVerdicts), String.join(",\n", sequences), String.join(",\n", strings));
  }

  private static boolean isValid(String path, boolean sequential) {
    try {
      PathUtils.validatePath(path, sequential);
      return true;
    } catch (IllegalArgumentException invalid) {
      return false;
    }
  }

  private static String units(String text) {
    return text.chars().mapToObj(unit -> String.format("%04x", unit)).collect(Collectors.joining(" "));
  }
}
