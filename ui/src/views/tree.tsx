export default function TreeView({ name }: { name: string }) {
  return <>{name}</>;
}
